import java.net.InetSocketAddress;
import java.net.ProxySelector;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Plain Java, no libraries: bindings from SERVICE_BINDING_ROOT, a destination, and a request through the connectivity proxy. */
public class App {
    private static final Path ROOT = Path.of(System.getenv("SERVICE_BINDING_ROOT"));

    private static String binding(String service, String key) throws Exception {
        return Files.readString(ROOT.resolve(service).resolve(key));
    }

    private static String field(String json, String name) {
        Matcher matcher = Pattern.compile("\"" + name + "\"\\s*:\\s*\"([^\"]*)\"").matcher(json);
        return matcher.find() ? matcher.group(1) : null;
    }

    private static String token(HttpClient client, String service) throws Exception {
        String form = "grant_type=client_credentials&client_id="
            + URLEncoder.encode(binding(service, "clientid"), StandardCharsets.UTF_8) + "&client_secret="
            + URLEncoder.encode(binding(service, "clientsecret"), StandardCharsets.UTF_8);
        HttpRequest request = HttpRequest.newBuilder(URI.create(binding(service, "url") + "/oauth/token"))
            .header("Content-Type", "application/x-www-form-urlencoded")
            .POST(HttpRequest.BodyPublishers.ofString(form)).build();
        return field(client.send(request, HttpResponse.BodyHandlers.ofString()).body(), "access_token");
    }

    public static void main(String[] arguments) throws Exception {
        HttpClient direct = HttpClient.newHttpClient();
        URI find = URI.create(
            binding("destination", "uri") + "/destination-configuration/v1/destinations/" + arguments[0]);
        HttpResponse<String> found = direct.send(
            HttpRequest.newBuilder(find).header("Authorization", "Bearer " + token(direct, "destination")).build(),
            HttpResponse.BodyHandlers.ofString());
        if (found.statusCode() != 200) {
            System.err.println("destination " + arguments[0] + ": " + found.statusCode() + " " + found.body());
            System.exit(1);
        }
        InetSocketAddress proxy = new InetSocketAddress(
            binding("connectivity", "onpremise_proxy_host"),
            Integer.parseInt(binding("connectivity", "onpremise_proxy_http_port")));
        HttpClient client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1)
            .proxy(ProxySelector.of(proxy)).build();
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(field(found.body(), "URL")))
            .header("Proxy-Authorization", "Bearer " + token(direct, "connectivity"));
        String location = field(found.body(), "CloudConnectorLocationId");
        if (location != null) {
            request.header("SAP-Connectivity-SCC-Location_ID", location);
        }
        // Twice, on one connection, as a pooled client does.
        for (int turn = 0; turn < 2; turn++) {
            HttpResponse<String> answer = client.send(request.build(), HttpResponse.BodyHandlers.ofString());
            System.out.println(answer.statusCode() + " " + answer.body());
        }
    }
}
