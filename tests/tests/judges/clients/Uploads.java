// Uploads by libraries of Java, and prints for each how many of the uploads got the whole refusal.
//
// Arguments: LIBRARY,LIBRARY… URL AUTHORITY SIZE TRIES MESSAGE; an empty AUTHORITY means plain HTTP.

import java.io.InputStream;
import java.net.HttpURLConnection;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpTimeoutException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.time.Duration;
import java.util.Arrays;
import javax.net.ssl.HttpsURLConnection;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

class Uploads {
    record Answer(int status, String body) {}

    interface Upload {
        Answer send() throws Exception;
    }

    public static void main(String[] args) throws Exception {
        String url = args[1], authority = args[2], message = args[5];
        byte[] body = new byte[Integer.parseInt(args[3])];
        Arrays.fill(body, (byte) 'x');
        SSLContext tls = authority.isEmpty() ? SSLContext.getDefault() : trusting(authority);
        HttpsURLConnection.setDefaultSSLSocketFactory(tls.getSocketFactory());
        for (String library : args[0].split(",")) {
            Upload upload = switch (library) {
                case "HttpURLConnection" -> () -> byConnection(url, body, false);
                case "streaming" -> () -> byConnection(url, body, true);
                case "HttpClient" -> () -> byClient(url, body, tls);
                default -> throw new IllegalArgumentException(library);
            };
            int complete = 0;
            for (int tries = Integer.parseInt(args[4]); tries > 0; tries--) {
                try {
                    complete += upload.send().equals(new Answer(413, message)) ? 1 : 0;
                } catch (HttpTimeoutException error) {
                    // The others would only take as long.
                    System.err.println(error);
                    break;
                } catch (Exception error) {
                    System.err.println(error);
                }
            }
            System.out.println(complete);
        }
        // Threads of a client may live on.
        System.exit(0);
    }

    static Answer byConnection(String url, byte[] body, boolean streams) throws Exception {
        var connection = (HttpURLConnection) URI.create(url).toURL().openConnection();
        connection.setRequestMethod("PUT");
        connection.setDoOutput(true);
        connection.setReadTimeout(60_000);
        if (streams) {
            connection.setFixedLengthStreamingMode(body.length);
        }
        connection.getOutputStream().write(body);
        int status = connection.getResponseCode();
        try (InputStream answer = connection.getErrorStream()) {
            return new Answer(status, new String(answer.readAllBytes()));
        }
    }

    static Answer byClient(String url, byte[] body, SSLContext tls) throws Exception {
        // Over plain TCP it would ask for an upgrade to HTTP/2. Over TLS the server chooses.
        var version = url.startsWith("https") ? HttpClient.Version.HTTP_2 : HttpClient.Version.HTTP_1_1;
        var client = HttpClient.newBuilder().version(version).sslContext(tls).build();
        var request = HttpRequest.newBuilder(URI.create(url)).timeout(Duration.ofSeconds(30))
                .PUT(HttpRequest.BodyPublishers.ofByteArray(body)).build();
        var answer = client.send(request, HttpResponse.BodyHandlers.ofString());
        return new Answer(answer.statusCode(), answer.body());
    }

    static SSLContext trusting(String authority) throws Exception {
        var store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null);
        try (InputStream file = Files.newInputStream(Path.of(authority))) {
            var certificate = CertificateFactory.getInstance("X.509").generateCertificate(file);
            store.setCertificateEntry("authority", certificate);
        }
        var managers = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        managers.init(store);
        var tls = SSLContext.getInstance("TLS");
        tls.init(null, managers.getTrustManagers(), null);
        return tls;
    }
}
