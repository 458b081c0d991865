// Prints what Kafka says of each API key and each error code. Run by ./make-golden.

import org.apache.kafka.common.errors.RefreshRetriableException;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.message.ApiMessageType.ListenerType;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.protocol.Errors;

public class Apis {
    public static void main(String[] args) {
        for (ApiKeys key : ApiKeys.values()) {
            if (!key.hasValidVersion()) continue;
            var headers = new StringBuilder();
            for (short v = key.oldestVersion(); v <= key.latestVersion(true); v++) {
                headers.append(' ').append(key.requestHeaderVersion(v)).append(key.responseHeaderVersion(v));
            }
            System.out.println("api " + key.id + " " + key.name + " " + key.oldestVersion() + " " + key.latestVersion(false)
                + " " + key.latestVersion(true) + " broker=" + key.inScope(ListenerType.BROKER)
                + " controller=" + key.inScope(ListenerType.CONTROLLER) + " forwarded=" + key.forwardable
                + " cluster=" + key.clusterAction + headers);
        }
        for (Errors error : Errors.values()) {
            System.out.println("error " + error.code() + " " + error.name()
                + " " + (error.exception() instanceof RetriableException)
                + " " + (error.exception() instanceof RefreshRetriableException));
        }
    }
}
