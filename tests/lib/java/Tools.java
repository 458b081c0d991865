import java.io.*;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import org.apache.kafka.common.utils.Exit;

/**
 * Runs Kafka's own command line tools one after another in one process: each would else spend more than a second on its start.
 *
 * Reads a line a command: the class and its arguments, separated by the byte 0x1f. Answers with a line `EXIT OUT ERR`, the code
 * and how many bytes of standard output and of standard error follow. What a tool prints after it asked to exit is dropped, as
 * it is where the process ends there.
 */
public class Tools {
    /** A stream whose bytes go where the command of the moment collects them. */
    static class Switch extends OutputStream {
        ByteArrayOutputStream to = new ByteArrayOutputStream();
        boolean open;

        @Override
        public synchronized void write(int b) {
            if (open) to.write(b);
        }

        @Override
        public synchronized void write(byte[] b, int at, int n) {
            if (open) to.write(b, at, n);
        }

        synchronized void begin() {
            to.reset();
            open = true;
        }

        synchronized void end() {
            open = false;
        }
    }

    /** Thrown where a tool asks to exit. */
    static class Exited extends Error {
        Exited() {
            super("exit", null, false, false);
        }
    }

    public static void main(String[] none) throws Exception {
        PrintStream answers = System.out;
        Switch out = new Switch(), err = new Switch();
        System.setOut(new PrintStream(out, true, StandardCharsets.UTF_8));
        System.setErr(new PrintStream(err, true, StandardCharsets.UTF_8));
        int[] code = new int[1];
        boolean[] exited = new boolean[1];
        Exit.Procedure procedure = (status, message) -> {
            if (!exited[0]) {
                if (message != null) System.err.println(message);
                exited[0] = true;
                code[0] = status;
                out.end();
                err.end();
            }
            throw new Exited();
        };
        Exit.setExitProcedure(procedure);
        Exit.setHaltProcedure(procedure);
        BufferedReader commands = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line; (line = commands.readLine()) != null; ) {
            String[] words = line.split("\u001f", -1);
            code[0] = 0;
            exited[0] = false;
            out.begin();
            err.begin();
            try {
                Class.forName(words[0]).getMethod("main", String[].class).invoke(null, (Object) java.util.Arrays.copyOfRange(words, 1, words.length));
            } catch (InvocationTargetException e) {
                if (!(e.getCause() instanceof Exited)) {
                    code[0] = 1;
                    System.err.print("Exception in thread \"main\" ");
                    e.getCause().printStackTrace();
                }
            }
            System.out.flush();
            System.err.flush();
            out.end();
            err.end();
            answers.print(code[0] + " " + out.to.size() + " " + err.to.size() + "\n");
            answers.write(out.to.toByteArray());
            answers.write(err.to.toByteArray());
            answers.flush();
        }
    }
}
