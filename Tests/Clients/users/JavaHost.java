import com.sun.net.httpserver.HttpsConfigurator;
import com.sun.net.httpserver.HttpsParameters;
import com.sun.net.httpserver.HttpsServer;
import java.io.ByteArrayInputStream;
import java.io.FileInputStream;
import java.net.InetSocketAddress;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.util.Base64;
import java.util.concurrent.Executors;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.TrustManagerFactory;

/**
 * A Java application that knows its users as AS Java does: the connector's certificate in TLS, the user's in a field, DER in Base64.
 *
 * JavaHost PORT SERVER.p12 SYSTEM.pem USERS-CA.pem: answers with the user's name, or 401.
 */
public class JavaHost {
    static X509Certificate read(String path) throws Exception {
        try (var file = new FileInputStream(path)) {
            return (X509Certificate) CertificateFactory.getInstance("X.509").generateCertificate(file);
        }
    }

    static SSLContext context(String server, String system) throws Exception {
        var keys = KeyStore.getInstance("PKCS12");
        try (var file = new FileInputStream(server)) { keys.load(file, "secret".toCharArray()); }
        var own = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
        own.init(keys, "secret".toCharArray());
        var trusted = KeyStore.getInstance("PKCS12");
        trusted.load(null, null);
        trusted.setCertificateEntry("system", read(system));
        var trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(trusted);
        var context = SSLContext.getInstance("TLS");
        context.init(own.getKeyManagers(), trust.getTrustManagers(), null);
        return context;
    }

    static String user(String field, X509Certificate authority) {
        try {
            var der = Base64.getDecoder().decode(field);
            var certificate = (X509Certificate) CertificateFactory.getInstance("X.509").generateCertificate(new ByteArrayInputStream(der));
            certificate.checkValidity();
            certificate.verify(authority.getPublicKey());
            return certificate.getSubjectX500Principal().getName();
        } catch (Exception error) {
            return null;
        }
    }

    public static void main(String[] arguments) throws Exception {
        var authority = read(arguments[3]);
        var context = context(arguments[1], arguments[2]);
        var server = HttpsServer.create(new InetSocketAddress("127.0.0.1", Integer.parseInt(arguments[0])), 64);
        server.setHttpsConfigurator(new HttpsConfigurator(context) {
            @Override public void configure(HttpsParameters parameters) {
                SSLParameters settings = context.getDefaultSSLParameters();
                settings.setNeedClientAuth(true);
                parameters.setSSLParameters(settings);
            }
        });
        server.createContext("/", exchange -> {
            var fields = exchange.getRequestHeaders().get("SSL_CLIENT_CERT");
            var name = fields == null || fields.size() != 1 ? null : user(fields.get(0), authority);
            var body = (name == null ? "nobody" : name).getBytes("UTF-8");
            exchange.sendResponseHeaders(name == null ? 401 : 200, body.length);
            exchange.getResponseBody().write(body);
            exchange.close();
        });
        server.setExecutor(Executors.newFixedThreadPool(8));
        server.start();
        System.out.println("ready");
    }
}
