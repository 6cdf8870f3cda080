// java.net.http's WebSocket against a gateway: java.mjs starts it, says where, and holds it to what it prints.

import java.io.BufferedReader;
import java.io.FileInputStream;
import java.io.InputStreamReader;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.WebSocket;
import java.net.http.WebSocketHandshakeException;
import java.nio.ByteBuffer;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.List;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.UnaryOperator;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLHandshakeException;
import javax.net.ssl.TrustManagerFactory;

public class Client {
    static final String WS = System.getenv("WS"), WSS = System.getenv("WSS");
    static final BufferedReader INPUT = new BufferedReader(new InputStreamReader(System.in));

    /** A connection, with what came over it in a queue: texts, bytes, and words for everything else. */
    static class Socket implements WebSocket.Listener {
        final LinkedBlockingQueue<Object> came = new LinkedBlockingQueue<>();
        final StringBuilder text = new StringBuilder();
        final java.io.ByteArrayOutputStream bytes = new java.io.ByteArrayOutputStream();
        WebSocket to;

        static Socket open(HttpClient client, String url, UnaryOperator<WebSocket.Builder> with) {
            Socket socket = new Socket();
            socket.to = with.apply(client.newWebSocketBuilder()).buildAsync(URI.create(url), socket).join();
            return socket;
        }

        public CompletionStage<?> onText(WebSocket socket, CharSequence part, boolean isLast) {
            text.append(part);
            if (isLast) {
                came.add(text.toString());
                text.setLength(0);
            }
            socket.request(1);
            return null;
        }

        public CompletionStage<?> onBinary(WebSocket socket, ByteBuffer part, boolean isLast) {
            byte[] taken = new byte[part.remaining()];
            part.get(taken);
            bytes.writeBytes(taken);
            if (isLast) {
                came.add(ByteBuffer.wrap(bytes.toByteArray()));
                bytes.reset();
            }
            socket.request(1);
            return null;
        }

        public CompletionStage<?> onPing(WebSocket socket, ByteBuffer payload) {
            came.add("pinged");
            socket.request(1);
            return null;
        }

        public CompletionStage<?> onPong(WebSocket socket, ByteBuffer payload) {
            came.add("ponged " + payload.remaining());
            socket.request(1);
            return null;
        }

        public CompletionStage<?> onClose(WebSocket socket, int code, String reason) {
            came.add("closed " + code + " " + reason);
            return null;
        }

        public void onError(WebSocket socket, Throwable error) {
            came.add("failed " + error);
        }

        /** What came next, pings left out. */
        Object next() throws Exception {
            for (;;) {
                Object next = came.poll(60, TimeUnit.SECONDS);
                if (!"pinged".equals(next)) return next;
            }
        }

        void next(Object expected) throws Exception {
            Object next = next();
            hold(expected.equals(next), expected + " and not " + next);
        }

        void says(String part) throws Exception {
            String next = String.valueOf(next());
            hold(next.contains(part), part + " is not in " + next);
        }
    }

    static void hold(boolean is, String what) {
        if (!is) throw new AssertionError(what);
    }

    static void asks(String what) throws Exception {
        System.out.println("do: " + what);
        hold("done".equals(INPUT.readLine()), what);
    }

    static Socket open(String path) {
        return Socket.open(HttpClient.newHttpClient(), WS + path, with -> with);
    }

    static void textsFragmentsAndBytesPass() throws Exception {
        for (String path : List.of("/relay/x", "/read/x")) {
            Socket socket = open(path);
            socket.says(path);
            socket.to.sendText("in ", false).join();
            socket.to.sendText("two fragments", true).join();
            socket.next("in two fragments");
            String large = "grüße ".repeat(50_000);
            socket.to.sendText(large, true).join();
            socket.next(large);
            ByteBuffer bytes = ByteBuffer.wrap(new byte[1 << 20]);
            socket.to.sendBinary(bytes.duplicate(), true).join();
            socket.next(bytes);
            socket.to.sendClose(WebSocket.NORMAL_CLOSURE, "bye").join();
            socket.says("closed 1000");
        }
    }

    static void pingsAreAnswered() throws Exception {
        Socket socket = open("/relay/x");
        for (int number = 0; number < 3; ) {
            if ("pinged".equals(socket.came.poll(60, TimeUnit.SECONDS))) number++;
        }
        socket.to.sendPing(ByteBuffer.wrap(new byte[5])).join();
        socket.next("ponged 5");
    }

    static void isKnown() throws Exception {
        String token = System.getenv("TOKEN");
        HttpClient client = HttpClient.newHttpClient();
        Socket.open(client, WS + "/users/x", with -> with.header("Authorization", "Bearer " + token)).says("\"user\":\"alice\"");
        Socket offered = Socket.open(client, WS + "/users/x", with -> with.subprotocols("bearer", token, "chat.v1"));
        offered.says("\"user\":\"alice\"");
        hold("chat.v1".equals(offered.to.getSubprotocol()), offered.to.getSubprotocol());
        Socket spoken = open("/first/x");
        spoken.to.sendText(System.getenv("FIRST"), true).join();
        spoken.says("\"user\":\"alice\"");
    }

    static void isToldWhy() {
        try {
            open("/users/x");
        } catch (CompletionException refused) {
            hold(refused.getCause() instanceof WebSocketHandshakeException why && why.getResponse().statusCode() == 401, "" + refused.getCause());
            return;
        }
        throw new AssertionError("let in");
    }

    static void isEdited() throws Exception {
        Socket socket = open("/relay/x");
        socket.says("/relay/x");
        asks("edit");
        socket.to.sendText("undisturbed", true).join();
        socket.next("undisturbed");
        asks("kick");
        socket.next("closed 4001 moved");
        Socket told = open("/relay/x");
        told.says("/relay/x");
        told.to.sendText("close 4321 as you said", true).join();
        told.next("closed 4321 as you said");
    }

    static void trusts() throws Exception {
        KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null, null);
        try (FileInputStream authority = new FileInputStream(System.getenv("AUTHORITY"))) {
            store.setCertificateEntry("trial", CertificateFactory.getInstance("X.509").generateCertificate(authority));
        }
        TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(store);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, trust.getTrustManagers(), null);
        Socket.open(HttpClient.newBuilder().sslContext(context).build(), WSS + "/relay/x", with -> with).says("/relay/x");
        try {
            Socket.open(HttpClient.newHttpClient(), WSS + "/relay/x", with -> with);
        } catch (CompletionException refused) {
            Throwable why = refused.getCause();
            while (why != null && !(why instanceof SSLHandshakeException)) why = why.getCause();
            hold(why != null, "" + refused.getCause());
            return;
        }
        throw new AssertionError("trusted");
    }

    public static void main(String[] none) throws Exception {
        textsFragmentsAndBytesPass();
        System.out.println("ok: texts, fragments and bytes pass");
        pingsAreAnswered();
        System.out.println("ok: its pings are answered, and it answers those it is sent");
        isKnown();
        System.out.println("ok: it is known by a token in the header, the subprotocol and the first message");
        isToldWhy();
        System.out.println("ok: who has none is told why");
        isEdited();
        System.out.println("ok: it goes on through an edit, and is told codes and reasons");
        trusts();
        System.out.println("ok: over TLS, of an authority that it trusts and of none other");
        System.exit(0);
    }
}
