import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.File;
import java.io.FileInputStream;
import java.io.IOException;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import org.apache.catalina.connector.Connector;
import org.apache.catalina.startup.Tomcat;
import org.apache.catalina.valves.SSLValve;
import org.apache.tomcat.util.net.SSLHostConfig;
import org.apache.tomcat.util.net.SSLHostConfigCertificate;

/**
 * A Tomcat whose SSLValve takes the user's certificate from the field SSL_CLIENT_CERT, PEM with blanks in the place of line ends.
 *
 * TomcatHost PORT SERVER.p12 SYSTEM.p12 USERS-CA.pem: answers with the user's name, or 401.
 */
public class TomcatHost {
    public static void main(String[] arguments) throws Exception {
        X509Certificate authority;
        try (var file = new FileInputStream(arguments[3])) {
            authority = (X509Certificate) CertificateFactory.getInstance("X.509").generateCertificate(file);
        }
        var tomcat = new Tomcat();
        var folder = new File(arguments[1]).getParentFile();
        tomcat.setBaseDir(folder.getPath());
        var connector = new Connector();
        connector.setPort(Integer.parseInt(arguments[0]));
        connector.setProperty("address", "127.0.0.1");
        connector.setProperty("SSLEnabled", "true");
        connector.setScheme("https");
        connector.setSecure(true);
        var host = new SSLHostConfig();
        host.setCertificateVerification("required");
        host.setTruststoreFile(arguments[2]);
        host.setTruststorePassword("secret");
        host.setTruststoreType("PKCS12");
        var certificate = new SSLHostConfigCertificate(host, SSLHostConfigCertificate.Type.UNDEFINED);
        certificate.setCertificateKeystoreFile(arguments[1]);
        certificate.setCertificateKeystorePassword("secret");
        host.addCertificate(certificate);
        connector.addSslHostConfig(host);
        tomcat.setConnector(connector);
        var context = tomcat.addContext("", folder.getPath());
        context.getPipeline().addValve(new SSLValve());
        Tomcat.addServlet(context, "users", new HttpServlet() {
            @Override protected void service(HttpServletRequest request, HttpServletResponse response) throws IOException {
                var chain = (X509Certificate[]) request.getAttribute("jakarta.servlet.request.X509Certificate");
                String name = null;
                try {
                    chain[0].checkValidity();
                    chain[0].verify(authority.getPublicKey());
                    name = chain[0].getSubjectX500Principal().getName();
                } catch (Exception error) { response.setStatus(401); }
                response.getWriter().print(name == null ? "nobody" : name);
            }
        });
        context.addServletMappingDecoded("/*", "users");
        tomcat.start();
        System.out.println("ready");
    }
}
