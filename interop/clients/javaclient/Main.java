import com.rabbitmq.client.AMQP;
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.ConnectionFactory;
import com.rabbitmq.client.DefaultConsumer;
import com.rabbitmq.client.Envelope;
import com.rabbitmq.client.GetResponse;
import com.rabbitmq.client.RpcClient;
import com.rabbitmq.client.ShutdownSignalException;
import com.rabbitmq.client.impl.LongStringHelper;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Date;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** The Java client, unchanged: plays the scenarios named by its arguments, a line of JSON for each. */
public final class Main {
    static final String URL = System.getenv("INTEROP_URL");
    static final int LIMIT_S = 25;

    interface Scenario {
        void play(Session session) throws Exception;
    }

    /** A delivery as its consumer got it. */
    static final class Delivery {
        final Envelope envelope;
        final AMQP.BasicProperties properties;
        final byte[] body;

        Delivery(Envelope envelope, AMQP.BasicProperties properties, byte[] body) {
            this.envelope = envelope;
            this.properties = properties;
            this.body = body;
        }

        String text() {
            return new String(body, StandardCharsets.UTF_8);
        }
    }

    /** What one scenario works with: connections, names, and what must be removed at its end. */
    static final class Session {
        final String scenario;
        final List<Connection> connections = new ArrayList<>();
        final List<String> queues = new ArrayList<>();
        final List<String> exchanges = new ArrayList<>();

        Session(String scenario) {
            this.scenario = scenario;
        }

        String name(String what) {
            return System.getenv("INTEROP_PREFIX") + "." + scenario + "." + what;
        }

        static ConnectionFactory factory() throws Exception {
            ConnectionFactory factory = new ConnectionFactory();
            factory.setUri(URL);
            factory.setAutomaticRecoveryEnabled(false);
            return factory;
        }

        Connection connect(ConnectionFactory factory) throws Exception {
            Connection connection = factory.newConnection();
            connections.add(connection);
            return connection;
        }

        Channel channel() throws Exception {
            return connect(factory()).createChannel();
        }

        String queue(Channel channel, String what) throws Exception {
            queues.add(name(what));
            channel.queueDeclare(name(what), false, false, false, null);
            return name(what);
        }

        String exchange(Channel channel, String type, String what, boolean internal, Map<String, Object> arguments) throws Exception {
            exchanges.add(name(what));
            channel.exchangeDeclare(name(what), type, false, false, internal, arguments);
            return name(what);
        }

        void close() throws Exception {
            for (Connection connection : connections) {
                connection.abort(2000);
            }
            try (Connection connection = factory().newConnection()) {
                for (String queue : queues) {
                    connection.createChannel().queueDelete(queue);
                }
                for (String exchange : exchanges) {
                    connection.createChannel().exchangeDelete(exchange);
                }
            }
        }
    }

    static void equal(Object seen, Object expected, String what) {
        if (!Objects.deepEquals(seen, expected)) {
            throw new AssertionError(what + ": expected " + expected + ", got " + seen);
        }
    }

    static void publish(Channel channel, String exchange, String key, String body) throws Exception {
        channel.basicPublish(exchange, key, null, body.getBytes(StandardCharsets.UTF_8));
    }

    static List<String> drain(Channel channel, String queue) throws Exception {
        List<String> bodies = new ArrayList<>();
        for (GetResponse got; (got = channel.basicGet(queue, true)) != null;) {
            bodies.add(new String(got.getBody(), StandardCharsets.UTF_8));
        }
        return bodies;
    }

    static BlockingQueue<Delivery> consume(Channel channel, String queue, boolean noAck, String tag) throws Exception {
        BlockingQueue<Delivery> inbox = new LinkedBlockingQueue<>();
        channel.basicConsume(queue, noAck, tag, new DefaultConsumer(channel) {
            @Override
            public void handleDelivery(String consumerTag, Envelope envelope, AMQP.BasicProperties properties, byte[] body) {
                inbox.add(new Delivery(envelope, properties, body));
            }
        });
        return inbox;
    }

    static <T> T next(BlockingQueue<T> from) throws Exception {
        T found = from.poll(10, TimeUnit.SECONDS);
        if (found == null) {
            throw new AssertionError("waited 10 s");
        }
        return found;
    }

    /** The reply code of the close that is the reason of an exception. */
    static int code(Throwable error) {
        for (Throwable cause = error; cause != null; cause = cause.getCause()) {
            if (cause instanceof ShutdownSignalException) {
                Object reason = ((ShutdownSignalException) cause).getReason();
                if (reason instanceof AMQP.Channel.Close) {
                    return ((AMQP.Channel.Close) reason).getReplyCode();
                }
                return ((AMQP.Connection.Close) reason).getReplyCode();
            }
        }
        return 0;
    }

    static void refused(int code, Scenario call) {
        try {
            call.play(null);
        } catch (Exception error) {
            equal(code(error), code, "reply code of " + error);
            return;
        }
        throw new AssertionError("expected the broker to refuse with " + code);
    }

    static int closed(BlockingQueue<ShutdownSignalException> closes) throws Exception {
        return code(next(closes));
    }

    static BlockingQueue<ShutdownSignalException> closing(Channel channel) {
        BlockingQueue<ShutdownSignalException> closes = new LinkedBlockingQueue<>();
        channel.addShutdownListener(closes::add);
        return closes;
    }

    static Map<String, Object> table(Object... pairs) {
        Map<String, Object> found = new HashMap<>();
        for (int at = 0; at < pairs.length; at += 2) {
            found.put((String) pairs[at], pairs[at + 1]);
        }
        return found;
    }

    static void rpc(Session s, String replies, String prefix) throws Exception {
        Channel server = s.channel();
        Channel client = s.channel();
        String queue = s.queue(server, "queue");
        String to = replies.isEmpty() ? client.queueDeclare().getQueue() : replies;
        BlockingQueue<Delivery> requests = consume(server, queue, true, "");
        BlockingQueue<Delivery> answers = consume(client, to, true, "");
        for (int call = 1; call <= 3; call++) {
            String id = "" + call;
            client.basicPublish("", queue, new AMQP.BasicProperties.Builder().replyTo(to).correlationId(id).build(), new byte[0]);
            AMQP.BasicProperties asked = next(requests).properties;
            equal(asked.getReplyTo().startsWith(prefix), true, asked.getReplyTo());
            server.basicPublish("", asked.getReplyTo(), new AMQP.BasicProperties.Builder().correlationId(asked.getCorrelationId()).build(), "answer".getBytes());
            Delivery answer = next(answers);
            equal(List.of(answer.properties.getCorrelationId(), answer.text()), List.of(id, "answer"), "answer");
        }
    }

    static final Map<String, Scenario> SCENARIOS = new LinkedHashMap<>();

    static {
        SCENARIOS.put("hello", s -> {
            Channel c = s.channel();
            String q = s.queue(c, "queue");
            BlockingQueue<Delivery> inbox = consume(c, q, false, "");
            publish(c, "", q, "hello");
            Delivery d = next(inbox);
            equal(List.of(d.envelope.getExchange(), d.envelope.getRoutingKey(), d.text()), List.of("", q, "hello"), "message");
            c.basicAck(d.envelope.getDeliveryTag(), false);
            equal(c.queueDelete(q).getMessageCount(), 0, "messages left");
        });
        SCENARIOS.put("work-queue", s -> {
            Channel c = s.channel(), idle = s.channel(), busy = s.channel();
            String q = s.queue(c, "queue");
            idle.basicQos(1);
            busy.basicQos(1);
            BlockingQueue<Delivery> one = consume(idle, q, false, "");
            publish(c, "", q, "0");
            equal(next(one).text(), "0", "the idle worker");
            BlockingQueue<Delivery> other = consume(busy, q, false, "");
            for (int task = 1; task < 10; task++) {
                publish(c, "", q, "" + task);
            }
            for (int task = 1; task < 10; task++) {
                Delivery d = next(other);
                equal(d.text(), "" + task, "the busy worker");
                busy.basicAck(d.envelope.getDeliveryTag(), false);
            }
            equal(one.size(), 0, "more for the idle worker");
        });
        SCENARIOS.put("publish-subscribe", s -> {
            Channel c = s.channel();
            String x = s.exchange(c, "fanout", "x", false, null);
            for (String what : List.of("one", "two")) {
                c.queueBind(s.queue(c, what), x, "");
            }
            publish(c, x, "a", "a");
            publish(c, x, "b", "b");
            for (String what : List.of("one", "two")) {
                equal(drain(c, s.name(what)), List.of("a", "b"), what);
            }
        });
        SCENARIOS.put("routing", s -> {
            Channel c = s.channel();
            String x = s.exchange(c, "direct", "x", false, null);
            c.queueBind(s.queue(c, "errors"), x, "error");
            s.queue(c, "all");
            for (String key : List.of("info", "warning", "error")) {
                c.queueBind(s.name("all"), x, key);
            }
            for (String key : List.of("error", "warning", "info", "Error", "debug")) {
                publish(c, x, key, key);
            }
            equal(drain(c, s.name("errors")), List.of("error"), "errors");
            equal(drain(c, s.name("all")), List.of("error", "warning", "info"), "all");
        });
        SCENARIOS.put("topics", s -> {
            Channel c = s.channel();
            String x = s.exchange(c, "topic", "x", false, null);
            c.queueBind(s.queue(c, "orange"), x, "*.orange.*");
            c.queueBind(s.queue(c, "lazy"), x, "lazy.#");
            c.queueBind(s.queue(c, "all"), x, "#");
            List<String> keys = List.of("quick.orange.rabbit", "lazy.pink.rabbit", "quick", "lazy", "");
            for (String key : keys) {
                publish(c, x, key, key);
            }
            equal(drain(c, s.name("orange")), List.of(keys.get(0)), "orange");
            equal(drain(c, s.name("lazy")), List.of(keys.get(1), keys.get(3)), "lazy");
            equal(drain(c, s.name("all")), keys, "all");
        });
        SCENARIOS.put("headers-exchange", s -> {
            Channel c = s.channel();
            String x = s.exchange(c, "headers", "x", false, null);
            for (String match : List.of("all", "any")) {
                c.queueBind(s.queue(c, match), x, "", table("x-match", match, "format", "pdf", "pages", 7));
            }
            List<Map<String, Object>> sent = List.of(table("format", "pdf", "pages", 7), table("format", "pdf", "pages", 8), table("pages", 7), table("format", "zip"), table());
            for (int at = 0; at < sent.size(); at++) {
                c.basicPublish(x, "", new AMQP.BasicProperties.Builder().headers(sent.get(at)).build(), ("" + at).getBytes());
            }
            equal(drain(c, s.name("all")), List.of("0"), "all");
            equal(drain(c, s.name("any")), List.of("0", "1", "2"), "any");
        });
        SCENARIOS.put("rpc-reply-queue", s -> rpc(s, "", "amq."));
        SCENARIOS.put("rpc-direct-reply-to", s -> rpc(s, "amq.rabbitmq.reply-to", "amq.rabbitmq.reply-to."));
        SCENARIOS.put("confirms-single", s -> {
            Channel c = s.channel();
            String q = s.queue(c, "queue");
            c.confirmSelect();
            for (String key : List.of(q, s.name("nowhere"), q)) {
                publish(c, "", key, "x");
                c.waitForConfirmsOrDie(10000);
            }
            equal(drain(c, q), List.of("x", "x"), "bodies");
        });
        SCENARIOS.put("confirms-batch", s -> {
            Channel c = s.channel();
            String q = s.queue(c, "queue");
            List<String> bodies = new ArrayList<>();
            c.confirmSelect();
            for (int at = 0; at < 100; at++) {
                bodies.add("" + at);
                publish(c, "", q, "" + at);
            }
            c.waitForConfirmsOrDie(10000);
            equal(drain(c, q), bodies, "bodies");
        });
        SCENARIOS.put("mandatory-return", s -> {
            Channel c = s.channel();
            String q = s.queue(c, "queue");
            BlockingQueue<String> returns = new LinkedBlockingQueue<>();
            c.addReturnListener((code, text, exchange, key, properties, body) -> returns.add(code + " " + text + " " + new String(body)));
            c.confirmSelect();
            for (String key : List.of(s.name("nowhere"), q)) {
                c.basicPublish("", key, true, null, "x".getBytes());
                c.waitForConfirmsOrDie(10000);
            }
            equal(next(returns), "312 NO_ROUTE x", "return");
            equal(returns.size(), 0, "more returns");
        });
        SCENARIOS.put("tx-commit", s -> {
            Channel c = s.channel(), other = s.channel();
            String q = s.queue(c, "queue");
            c.txSelect();
            publish(c, "", q, "1");
            equal(drain(other, q), List.of(), "before the commit");
            c.txCommit();
            equal(drain(other, q), List.of("1"), "after it");
        });
        SCENARIOS.put("tx-rollback", s -> {
            Channel c = s.channel(), other = s.channel();
            String q = s.queue(other, "queue");
            publish(other, "", q, "1");
            c.txSelect();
            GetResponse got;
            do {
                got = c.basicGet(q, false);
            } while (got == null);
            c.basicAck(got.getEnvelope().getDeliveryTag(), false);
            publish(c, "", q, "2");
            c.txRollback();
            c.close();
            equal(other.basicGet(q, true).getEnvelope().isRedeliver(), true, "redelivered");
            equal(drain(other, q), List.of(), "more");
        });
        SCENARIOS.put("nack-requeue", s -> {
            Channel c = s.channel();
            String q = s.queue(c, "queue");
            publish(c, "", q, "1");
            publish(c, "", q, "2");
            c.basicNack(c.basicGet(q, false).getEnvelope().getDeliveryTag(), false, true);
            GetResponse again = c.basicGet(q, false);
            equal(new String(again.getBody()) + again.getEnvelope().isRedeliver(), "1true", "message");
            c.basicReject(again.getEnvelope().getDeliveryTag(), false);
            equal(drain(c, q), List.of("2"), "left");
        });
        SCENARIOS.put("nack-multiple", s -> {
            Channel c = s.channel();
            String q = s.queue(c, "queue");
            for (int at = 1; at <= 6; at++) {
                publish(c, "", q, "" + at);
            }
            for (int at = 1; at <= 6; at++) {
                c.basicGet(q, false);
            }
            c.basicNack(4, true, false);
            c.basicNack(6, true, true);
            equal(drain(c, q), List.of("5", "6"), "left");
        });
        SCENARIOS.put("unacked-on-close", s -> {
            Channel loser = s.channel(), c = s.channel();
            String q = s.queue(loser, "queue");
            publish(loser, "", q, "1");
            publish(loser, "", q, "2");
            loser.basicGet(q, false);
            loser.basicGet(q, false);
            loser.close();
            for (String body : List.of("1", "2")) {
                GetResponse got = c.basicGet(q, true);
                equal(new String(got.getBody()) + got.getEnvelope().isRedeliver(), body + "true", "message");
            }
        });
        SCENARIOS.put("qos-global", s -> {
            Channel c = s.channel(), other = s.channel();
            String q = s.queue(c, "queue");
            other.confirmSelect();
            for (int at = 0; at < 10; at++) {
                publish(other, "", q, "" + at);
            }
            other.waitForConfirmsOrDie(10000);
            c.basicQos(3, true);
            BlockingQueue<Delivery> one = consume(c, q, false, "one");
            consume(c, q, false, "two");
            Delivery first = next(one);
            equal(other.messageCount(q), 7L, "ready");
            c.basicAck(first.envelope.getDeliveryTag(), false);
            c.queueDeclarePassive(q);
            while (other.messageCount(q) != 6) {
                Thread.onSpinWait();
            }
        });
        SCENARIOS.put("cancel-notification", s -> {
            Channel c = s.channel();
            String q = s.queue(c, "queue");
            BlockingQueue<String> told = new LinkedBlockingQueue<>();
            c.basicConsume(q, true, "tag", new DefaultConsumer(c) {
                @Override
                public void handleCancel(String consumerTag) {
                    told.add(consumerTag);
                }
            });
            s.channel().queueDelete(q);
            equal(next(told), "tag", "consumer tag");
        });
        SCENARIOS.put("basic-get", s -> {
            Channel c = s.channel();
            String q = s.queue(c, "queue");
            for (int at = 0; at < 3; at++) {
                publish(c, "", q, "x");
            }
            for (int left = 2; left >= 0; left--) {
                equal(c.basicGet(q, true).getMessageCount(), left, "left");
            }
            equal(c.basicGet(q, true), null, "the end");
        });
        SCENARIOS.put("server-named-queue", s -> {
            Channel c = s.channel();
            String one = c.queueDeclare().getQueue(), other = c.queueDeclare().getQueue();
            equal(one.startsWith("amq.") && !one.equals(other), true, one + " " + other);
            publish(c, "", one, "x");
            equal(drain(c, one), List.of("x"), "bodies");
        });
        SCENARIOS.put("exclusive-queue", s -> {
            Connection owner = s.connect(Session.factory());
            String q = s.name("queue");
            owner.createChannel().queueDeclare(q, false, true, false, null);
            refused(405, none -> s.channel().queueDeclarePassive(q));
            owner.close();
            refused(404, none -> s.channel().queueDeclarePassive(q));
        });
        SCENARIOS.put("purge-delete-counts", s -> {
            Channel c = s.channel();
            String q = s.queue(c, "queue");
            for (int at = 0; at < 3; at++) {
                publish(c, "", q, "x");
            }
            equal(c.queuePurge(q).getMessageCount(), 3, "purged");
            consume(c, q, true, "");
            equal(c.consumerCount(q), 1L, "consumers");
            equal(c.queueDelete(q).getMessageCount(), 0, "deleted");
        });
        SCENARIOS.put("exchange-to-exchange", s -> {
            Channel c = s.channel();
            String from = s.exchange(c, "direct", "from", false, null), to = s.exchange(c, "fanout", "to", false, null);
            String q = s.queue(c, "queue");
            c.queueBind(q, to, "");
            c.exchangeBind(to, from, "k");
            publish(c, from, "k", "1");
            equal(drain(c, q), List.of("1"), "bound");
            c.exchangeUnbind(to, from, "k");
            publish(c, from, "k", "2");
            equal(drain(c, q), List.of(), "unbound");
        });
        SCENARIOS.put("alternate-exchange", s -> {
            Channel c = s.channel();
            String spare = s.exchange(c, "fanout", "spare", false, null);
            String x = s.exchange(c, "direct", "x", false, table("alternate-exchange", spare));
            c.queueBind(s.queue(c, "routed"), x, "k");
            c.queueBind(s.queue(c, "rest"), spare, "");
            publish(c, x, "k", "1");
            publish(c, x, "other", "2");
            equal(drain(c, s.name("routed")), List.of("1"), "routed");
            equal(drain(c, s.name("rest")), List.of("2"), "rest");
        });
        SCENARIOS.put("passive-declare-missing", s -> {
            Connection connection = s.connect(Session.factory());
            refused(404, none -> connection.createChannel().queueDeclarePassive(s.name("none")));
            refused(404, none -> connection.createChannel().exchangeDeclarePassive(s.name("none")));
            connection.createChannel().queueDeclare();
        });
        SCENARIOS.put("precondition-failed", s -> {
            Channel c = s.channel();
            s.queues.add(s.name("queue"));
            c.queueDeclare(s.name("queue"), true, false, false, null);
            refused(406, none -> c.queueDeclare(s.name("queue"), false, false, false, null));
        });
        SCENARIOS.put("publish-missing-exchange", s -> {
            Channel c = s.channel();
            BlockingQueue<ShutdownSignalException> closes = closing(c);
            publish(c, s.name("none"), "", "x");
            equal(closed(closes), 404, "reply code");
        });
        SCENARIOS.put("unknown-delivery-tag", s -> {
            Channel c = s.channel();
            BlockingQueue<ShutdownSignalException> closes = closing(c);
            c.basicAck(7, false);
            equal(closed(closes), 406, "reply code");
        });
        SCENARIOS.put("reserved-name", s -> {
            refused(403, none -> s.channel().queueDeclare("amq." + s.name("q"), false, false, false, null));
            refused(403, none -> s.channel().exchangeDeclare("amq." + s.name("x"), "direct"));
        });
        SCENARIOS.put("internal-exchange", s -> {
            Channel c = s.channel();
            BlockingQueue<ShutdownSignalException> closes = closing(c);
            publish(c, s.exchange(c, "fanout", "x", true, null), "", "x");
            equal(closed(closes), 403, "reply code");
        });
        SCENARIOS.put("duplicate-consumer-tag", s -> {
            Channel c = s.channel();
            String q = s.queue(c, "queue");
            consume(c, q, true, "tag");
            refused(530, none -> consume(c, q, true, "tag"));
        });
        SCENARIOS.put("wrong-password", s -> {
            ConnectionFactory factory = Session.factory();
            factory.setPassword("wrong");
            try {
                s.connect(factory);
            } catch (com.rabbitmq.client.AuthenticationFailureException refusal) {
                return;
            }
            throw new AssertionError("it was not refused");
        });
        SCENARIOS.put("missing-vhost", s -> {
            ConnectionFactory factory = Session.factory();
            factory.setVirtualHost("interop-no-such-vhost");
            refused(530, none -> s.connect(factory));
        });
        SCENARIOS.put("properties", s -> {
            Channel c = s.channel();
            String q = s.queue(c, "queue");
            AMQP.BasicProperties sent = new AMQP.BasicProperties("text/x", "utf-8", null, 2, 5, "c", "r", "60000", "m",
                new Date(1709210096000L), "t", Session.factory().getUsername(), "a", "k");
            c.basicPublish("", q, sent, new byte[0]);
            equal(c.basicGet(q, true).getProps().toString(), sent.toString(), "properties");
        });
        SCENARIOS.put("header-types", s -> {
            Channel c = s.channel();
            String q = s.queue(c, "queue");
            Map<String, Object> headers = table("bool", true, "byte", (byte) -5, "short", (short) -300, "int", -70000, "long", 1L << 40,
                "float", 0.5f, "double", -2.25, "decimal", new java.math.BigDecimal("3.14"), "text", LongStringHelper.asLongString("żółw 🐢"),
                "time", new Date(1709210096000L), "void", null, "array", Arrays.asList(1, null, Arrays.asList(3)), "table", table("nested", table("x", 1)));
            c.basicPublish("", q, new AMQP.BasicProperties.Builder().headers(headers).build(), new byte[0]);
            equal(c.basicGet(q, true).getProps().getHeaders(), headers, "headers");
        });
        SCENARIOS.put("empty-message", s -> {
            Channel c = s.channel();
            String q = s.queue(c, "queue");
            BlockingQueue<Delivery> inbox = consume(c, q, true, "");
            for (String body : List.of("", "full", "")) {
                publish(c, "", q, body);
                equal(next(inbox).text(), body, "body");
            }
        });
        SCENARIOS.put("large-message", s -> {
            Channel c = s.channel();
            String q = s.queue(c, "queue");
            byte[] body = new byte[16 << 20];
            new java.util.Random(16).nextBytes(body);
            BlockingQueue<Delivery> inbox = consume(c, q, true, "");
            c.basicPublish("", q, null, body);
            equal(Arrays.equals(next(inbox).body, body), true, "the body arrives whole");
        });
        SCENARIOS.put("unicode-names", s -> {
            String unicode = "zażółć-gęślą-日本語-🐇";
            Channel c = s.channel();
            String q = s.queue(c, unicode), x = s.exchange(c, "topic", unicode, false, null);
            c.queueBind(q, x, unicode + ".*");
            BlockingQueue<Delivery> inbox = consume(c, q, true, unicode);
            publish(c, x, unicode + ".clé", "x");
            Delivery d = next(inbox);
            equal(List.of(d.envelope.getExchange(), d.envelope.getRoutingKey()), List.of(x, unicode + ".clé"), "names");
        });
        SCENARIOS.put("many-channels", s -> {
            Connection connection = s.connect(Session.factory());
            for (int at = 0; at < 1000; at++) {
                Channel c = connection.createChannel();
                if (at % 5 == 0) {
                    String q = c.queueDeclare().getQueue();
                    publish(c, "", q, "" + at);
                    equal(drain(c, q), List.of("" + at), "channel " + at);
                }
            }
        });
        SCENARIOS.put("heartbeats", s -> {
            ConnectionFactory factory = Session.factory();
            factory.setRequestedHeartbeat(1);
            Connection connection = s.connect(factory);
            Thread.sleep(4000);
            connection.createChannel().queueDeclare();
        });
    }

    static String quoted(String text) {
        StringBuilder line = new StringBuilder("\"");
        for (char c : text.toCharArray()) {
            line.append(c == '"' || c == '\\' ? "\\" + c : c < ' ' ? " " : "" + c);
        }
        return line.append('"').toString();
    }

    static String[] play(String name, ExecutorService threads) {
        Scenario scenario = SCENARIOS.get(name);
        if (scenario == null) {
            return new String[] {"skip", "not written for this client"};
        }
        Session session = new Session(name);
        String[] answer = {"pass", ""};
        try {
            threads.submit(() -> {
                scenario.play(session);
                return null;
            }).get(LIMIT_S, TimeUnit.SECONDS);
        } catch (TimeoutException late) {
            answer = new String[] {"fail", "not done in time"};
        } catch (Exception error) {
            answer = new String[] {"fail", String.valueOf(error.getCause())};
        }
        try {
            session.close();
        } catch (Exception ignored) {
            // what it left behind is found by the next run
        }
        return answer;
    }

    public static void main(String[] names) {
        ExecutorService threads = Executors.newCachedThreadPool();
        String version = ConnectionFactory.class.getPackage().getImplementationVersion();
        System.out.println("{\"client\": \"javaclient\", \"version\": " + quoted(version == null ? "5.0.0" : version) + "}");
        for (String name : names) {
            long started = System.nanoTime();
            String[] answer = play(name, threads);
            System.out.println("{\"scenario\": " + quoted(name) + ", \"result\": " + quoted(answer[0]) + ", \"reason\": " + quoted(answer[1])
                + ", \"ms\": " + (System.nanoTime() - started) / 1000000 + "}");
        }
        System.exit(0);
    }
}
