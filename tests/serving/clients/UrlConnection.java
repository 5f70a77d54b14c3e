// The client that the JDK has had since its first version.
import java.net.HttpURLConnection;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;

public class UrlConnection {
    public static void main(String[] arguments) throws Exception {
        for (int i = 1; i < arguments.length; i++) {
            var connection = (HttpURLConnection) URI.create(arguments[0]).toURL().openConnection();
            connection.setDoOutput(true);
            connection.getOutputStream().write(Files.readAllBytes(Path.of(arguments[i])));
            int status = connection.getResponseCode();
            var answer = status < 400 ? connection.getInputStream() : connection.getErrorStream();
            System.out.println(status + " " + new String(answer.readAllBytes()));
        }
    }
}
