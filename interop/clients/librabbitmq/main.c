/* librabbitmq, unchanged: plays the scenarios named by its arguments, a line of JSON for each. */

#define _GNU_SOURCE

#include <amqp.h>
#include <amqp_tcp_socket.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 4

static jmp_buf failed;
static char reason[400];
static amqp_connection_state_t connections[CONNECTIONS_MAX];
static int connection_count;
static const char *scenario;
static char *host, *user, *password, *vhost;
static int port;

static void fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    longjmp(failed, 1);
}

#define CHECK(fact) do { if (!(fact)) fail("line %d: not so: %s", __LINE__, #fact); } while (0)

static amqp_bytes_t text(const char *value) { return amqp_cstring_bytes(value); }

static int is(amqp_bytes_t seen, const char *expected) {
    return seen.len == strlen(expected) && memcmp(seen.bytes, expected, seen.len) == 0;
}

/* A name of this run; a few of them may be in use at once. */
static const char *name(const char *what) {
    static char names[8][256];
    static int next;
    char *found = names[next++ % 8];
    snprintf(found, 256, "%s.%s.%s", getenv("INTEROP_PREFIX"), scenario, what);
    return found;
}

static int reply_code(amqp_rpc_reply_t reply) {
    if (reply.reply_type == AMQP_RESPONSE_NORMAL) return 0;
    if (reply.reply_type != AMQP_RESPONSE_SERVER_EXCEPTION) return -1;
    if (reply.reply.id == AMQP_CHANNEL_CLOSE_METHOD)
        return ((amqp_channel_close_t *)reply.reply.decoded)->reply_code;
    return ((amqp_connection_close_t *)reply.reply.decoded)->reply_code;
}

static void ok(amqp_connection_state_t c) {
    int code = reply_code(amqp_get_rpc_reply(c));
    if (code) fail("the broker refused with %d", code);
}

static amqp_rpc_reply_t login(amqp_connection_state_t c, const char *to, const char *secret) {
    amqp_socket_t *socket = amqp_tcp_socket_new(c);
    struct timeval limit = {10, 0};
    amqp_set_rpc_timeout(c, &limit);
    CHECK(amqp_socket_open(socket, host, port) == 0);
    /* Beside what the library says of itself: it wants to hear of cancelled consumers. */
    amqp_table_entry_t told = {text("consumer_cancel_notify"), {.kind = AMQP_FIELD_KIND_BOOLEAN, .value.boolean = 1}};
    amqp_table_entry_t capabilities = {text("capabilities"), {.kind = AMQP_FIELD_KIND_TABLE, .value.table = {1, &told}}};
    amqp_table_t properties = {1, &capabilities};
    return amqp_login_with_properties(c, to, 0, 131072, 0, &properties, AMQP_SASL_METHOD_PLAIN, user, secret);
}

static amqp_connection_state_t channel(void) {
    CHECK(connection_count < CONNECTIONS_MAX);
    amqp_connection_state_t c = connections[connection_count++] = amqp_new_connection();
    CHECK(reply_code(login(c, vhost, password)) == 0);
    amqp_channel_open(c, 1);
    ok(c);
    return c;
}

static const char *queue(amqp_connection_state_t c, const char *what) {
    const char *found = name(what);
    amqp_queue_declare(c, 1, text(found), 0, 0, 0, 1, amqp_empty_table);
    ok(c);
    return found;
}

static void publish(amqp_connection_state_t c, const char *exchange, const char *key, const char *body) {
    CHECK(amqp_basic_publish(c, 1, text(exchange), text(key), 0, 0, NULL, text(body)) == 0);
}

/* The next message of a queue, by basic.get; its body is the caller's. NULL if there is none. */
static char *get(amqp_connection_state_t c, const char *from, int no_ack, int *redelivered, uint32_t *left) {
    amqp_rpc_reply_t reply = amqp_basic_get(c, 1, text(from), no_ack);
    CHECK(reply.reply_type == AMQP_RESPONSE_NORMAL);
    if (reply.reply.id == AMQP_BASIC_GET_EMPTY_METHOD) return NULL;
    amqp_basic_get_ok_t *got = reply.reply.decoded;
    if (redelivered) *redelivered = got->redelivered;
    if (left) *left = got->message_count;
    amqp_message_t message;
    CHECK(amqp_read_message(c, 1, &message, 0).reply_type == AMQP_RESPONSE_NORMAL);
    char *body = calloc(1, message.body.len + 1);
    memcpy(body, message.body.bytes, message.body.len);
    amqp_destroy_message(&message);
    return body;
}

/* Take all messages; they must be the letters of `expected`. */
static void drain(amqp_connection_state_t c, const char *from, const char *expected) {
    for (; *expected; expected++) {
        char *body = get(c, from, 1, NULL, NULL);
        if (!body || body[0] != *expected) fail("expected %c in %s, got %s", *expected, from, body ? body : "nothing");
        free(body);
    }
    CHECK(get(c, from, 1, NULL, NULL) == NULL);
}

static amqp_envelope_t next(amqp_connection_state_t c) {
    amqp_envelope_t envelope;
    struct timeval limit = {10, 0};
    amqp_maybe_release_buffers(c);
    CHECK(amqp_consume_message(c, &envelope, &limit, 0).reply_type == AMQP_RESPONSE_NORMAL);
    return envelope;
}

/* The next method that comes unasked. */
static amqp_frame_t method(amqp_connection_state_t c, amqp_method_number_t id) {
    amqp_frame_t frame;
    struct timeval limit = {10, 0};
    do CHECK(amqp_simple_wait_frame_noblock(c, &frame, &limit) == AMQP_STATUS_OK);
    while (frame.frame_type != AMQP_FRAME_METHOD || frame.payload.method.id != id);
    return frame;
}

static int closing(amqp_connection_state_t c) {
    return ((amqp_channel_close_t *)method(c, AMQP_CHANNEL_CLOSE_METHOD).payload.method.decoded)->reply_code;
}

static char exchanges[4][256]; /* to be removed at the end: those that were never bound stay */
static int exchange_count;

static void exchange(amqp_connection_state_t c, const char *called, const char *type, int internal) {
    strcpy(exchanges[exchange_count++ % 4], called);
    amqp_exchange_declare(c, 1, text(called), text(type), 0, 0, 1, internal, amqp_empty_table);
    ok(c);
}

static void bind(amqp_connection_state_t c, const char *to, const char *from, const char *key) {
    amqp_queue_bind(c, 1, text(to), text(from), text(key), amqp_empty_table);
    ok(c);
}

static void consume(amqp_connection_state_t c, const char *from, int no_ack) {
    amqp_basic_consume(c, 1, text(from), text("tag"), 0, no_ack, 0, amqp_empty_table);
    ok(c);
}

/* scenarios */

static void hello(void) {
    amqp_connection_state_t c = channel();
    const char *q = queue(c, "queue");
    consume(c, q, 0);
    publish(c, "", q, "hello");
    amqp_envelope_t e = next(c);
    CHECK(is(e.exchange, "") && is(e.routing_key, q) && is(e.message.body, "hello"));
    CHECK(amqp_basic_ack(c, 1, e.delivery_tag, 0) == 0);
    amqp_destroy_envelope(&e);
    CHECK(amqp_queue_delete(c, 1, text(q), 0, 0)->message_count == 0);
}

static void publish_subscribe(void) {
    amqp_connection_state_t c = channel();
    const char *x = name("x"), *one = queue(c, "one"), *two = queue(c, "two");
    exchange(c, x, "fanout", 0);
    bind(c, one, x, "");
    bind(c, two, x, "");
    publish(c, x, "k", "a");
    publish(c, x, "l", "b");
    drain(c, one, "ab");
    drain(c, two, "ab");
}

static void routing(void) {
    amqp_connection_state_t c = channel();
    const char *x = name("x"), *errors = queue(c, "errors"), *all = queue(c, "all");
    exchange(c, x, "direct", 0);
    bind(c, errors, x, "error");
    bind(c, all, x, "error");
    bind(c, all, x, "info");
    publish(c, x, "error", "e");
    publish(c, x, "info", "i");
    publish(c, x, "Error", "E");
    drain(c, errors, "e");
    drain(c, all, "ei");
}

static void topics(void) {
    amqp_connection_state_t c = channel();
    const char *x = name("x"), *star = queue(c, "star"), *hash = queue(c, "hash");
    exchange(c, x, "topic", 0);
    bind(c, star, x, "*.orange.*");
    bind(c, hash, x, "lazy.#");
    publish(c, x, "quick.orange.rabbit", "1");
    publish(c, x, "lazy.orange.fox", "2");
    publish(c, x, "lazy", "3");
    publish(c, x, "orange", "4");
    drain(c, star, "12");
    drain(c, hash, "23");
}

static void confirms_batch(void) {
    amqp_connection_state_t c = channel();
    const char *q = queue(c, "queue");
    amqp_confirm_select(c, 1);
    ok(c);
    for (int at = 0; at < 100; at++) publish(c, "", q, "x");
    for (uint64_t until = 0; until < 100;) {
        amqp_basic_ack_t *ack = method(c, AMQP_BASIC_ACK_METHOD).payload.method.decoded;
        CHECK(ack->delivery_tag == until + 1 || ack->multiple);
        until = ack->delivery_tag;
    }
    CHECK(amqp_queue_purge(c, 1, text(q))->message_count == 100);
}

static void mandatory_return(void) {
    amqp_connection_state_t c = channel();
    CHECK(amqp_basic_publish(c, 1, text(""), text(name("nowhere")), 1, 0, NULL, text("back")) == 0);
    amqp_basic_return_t *back = method(c, AMQP_BASIC_RETURN_METHOD).payload.method.decoded;
    CHECK(back->reply_code == 312 && is(back->reply_text, "NO_ROUTE"));
    amqp_message_t message;
    CHECK(amqp_read_message(c, 1, &message, 0).reply_type == AMQP_RESPONSE_NORMAL);
    CHECK(is(message.body, "back"));
    amqp_destroy_message(&message);
}

static void tx_commit(void) {
    amqp_connection_state_t c = channel(), other = channel();
    const char *q = queue(other, "queue");
    amqp_tx_select(c, 1);
    publish(c, "", q, "1");
    drain(other, q, "");
    amqp_tx_commit(c, 1);
    ok(c);
    drain(other, q, "1");
}

static void tx_rollback(void) {
    amqp_connection_state_t c = channel(), other = channel();
    const char *q = queue(other, "queue");
    amqp_tx_select(c, 1);
    publish(c, "", q, "1");
    amqp_tx_rollback(c, 1);
    amqp_tx_commit(c, 1);
    ok(c);
    drain(other, q, "");
}

static void nack_requeue(void) {
    amqp_connection_state_t c = channel();
    const char *q = queue(c, "queue");
    int again = 0;
    publish(c, "", q, "1");
    publish(c, "", q, "2");
    free(get(c, q, 0, NULL, NULL));
    CHECK(amqp_basic_nack(c, 1, 1, 0, 1) == 0);
    char *body = get(c, q, 0, &again, NULL);
    CHECK(body && body[0] == '1' && again);
    CHECK(amqp_basic_reject(c, 1, 2, 0) == 0);
    drain(c, q, "2");
}

static void nack_multiple(void) {
    amqp_connection_state_t c = channel();
    const char *q = queue(c, "queue");
    const char *bodies[] = {"1", "2", "3", "4", "5", "6"};
    for (int at = 0; at < 6; at++) publish(c, "", q, bodies[at]);
    for (int at = 0; at < 6; at++) free(get(c, q, 0, NULL, NULL));
    CHECK(amqp_basic_nack(c, 1, 4, 1, 0) == 0 && amqp_basic_nack(c, 1, 6, 1, 1) == 0);
    drain(c, q, "56");
}

static void unacked_on_close(void) {
    amqp_connection_state_t loser = channel(), c = channel();
    const char *q = queue(c, "queue");
    int again = 0;
    publish(loser, "", q, "1");
    free(get(loser, q, 0, NULL, NULL));
    CHECK(reply_code(amqp_channel_close(loser, 1, 200)) == 0);
    char *body = get(c, q, 1, &again, NULL);
    CHECK(body && body[0] == '1' && again);
}

static void cancel_notification(void) {
    amqp_connection_state_t c = channel(), other = channel();
    const char *q = queue(other, "queue");
    consume(c, q, 1);
    amqp_queue_delete(other, 1, text(q), 0, 0);
    CHECK(is(((amqp_basic_cancel_t *)method(c, AMQP_BASIC_CANCEL_METHOD).payload.method.decoded)->consumer_tag, "tag"));
}

static void basic_get(void) {
    amqp_connection_state_t c = channel();
    const char *q = queue(c, "queue");
    uint32_t left = 9;
    for (int at = 0; at < 3; at++) publish(c, "", q, "x");
    for (uint32_t expected = 3; expected-- > 0;) {
        free(get(c, q, 1, NULL, &left));
        CHECK(left == expected);
    }
    CHECK(get(c, q, 1, NULL, NULL) == NULL);
}

static void server_named_queue(void) {
    amqp_connection_state_t c = channel();
    amqp_queue_declare_ok_t *made = amqp_queue_declare(c, 1, amqp_empty_bytes, 0, 0, 1, 1, amqp_empty_table);
    CHECK(made && made->queue.len > 4 && memcmp(made->queue.bytes, "amq.", 4) == 0);
}

static void exclusive_queue(void) {
    amqp_connection_state_t owner = channel(), c = channel(), after = channel();
    const char *q = name("queue");
    amqp_queue_declare(owner, 1, text(q), 0, 0, 1, 0, amqp_empty_table);
    ok(owner);
    amqp_queue_declare(c, 1, text(q), 1, 0, 0, 0, amqp_empty_table);
    CHECK(reply_code(amqp_get_rpc_reply(c)) == 405);
    amqp_connection_close(owner, 200);
    amqp_queue_declare(after, 1, text(q), 1, 0, 0, 0, amqp_empty_table);
    CHECK(reply_code(amqp_get_rpc_reply(after)) == 404);
}

static void purge_delete_counts(void) {
    amqp_connection_state_t c = channel();
    const char *q = queue(c, "queue");
    for (int at = 0; at < 3; at++) publish(c, "", q, "x");
    CHECK(amqp_queue_purge(c, 1, text(q))->message_count == 3);
    publish(c, "", q, "x");
    CHECK(amqp_queue_delete(c, 1, text(q), 0, 0)->message_count == 1);
}

static void exchange_to_exchange(void) {
    amqp_connection_state_t c = channel();
    const char *from = name("from"), *to = name("to"), *q = queue(c, "queue");
    exchange(c, from, "direct", 0);
    exchange(c, to, "fanout", 0);
    bind(c, q, to, "");
    bind(c, queue(c, "keeper"), from, "l"); /* an auto-delete exchange lives while it has a binding */
    amqp_exchange_bind(c, 1, text(to), text(from), text("k"), amqp_empty_table);
    ok(c);
    publish(c, from, "k", "1");
    drain(c, q, "1");
    amqp_exchange_unbind(c, 1, text(to), text(from), text("k"), amqp_empty_table);
    ok(c);
    publish(c, from, "k", "2");
    drain(c, q, "");
}

static void passive_declare_missing(void) {
    amqp_connection_state_t c = channel();
    amqp_queue_declare(c, 1, text(name("none")), 1, 0, 0, 0, amqp_empty_table);
    CHECK(reply_code(amqp_get_rpc_reply(c)) == 404);
    amqp_channel_open(c, 2);
    ok(c);
}

static void precondition_failed(void) {
    amqp_connection_state_t c = channel();
    const char *q = queue(c, "queue");
    amqp_queue_declare(c, 1, text(q), 0, 1, 0, 1, amqp_empty_table);
    amqp_rpc_reply_t reply = amqp_get_rpc_reply(c);
    CHECK(reply_code(reply) == 406);
    amqp_channel_close_t *closed = reply.reply.decoded;
    CHECK(memmem(closed->reply_text.bytes, closed->reply_text.len, "inequivalent arg 'durable'", 26));
}

static void publish_missing_exchange(void) {
    amqp_connection_state_t c = channel();
    publish(c, name("none"), "", "x");
    CHECK(closing(c) == 404);
}

static void unknown_delivery_tag(void) {
    amqp_connection_state_t c = channel();
    CHECK(amqp_basic_ack(c, 1, 7, 0) == 0);
    CHECK(closing(c) == 406);
}

static void reserved_name(void) {
    amqp_connection_state_t c = channel();
    amqp_queue_declare(c, 1, text("amq.interop"), 0, 0, 0, 0, amqp_empty_table);
    CHECK(reply_code(amqp_get_rpc_reply(c)) == 403);
}

static void internal_exchange(void) {
    amqp_connection_state_t c = channel();
    const char *x = name("x");
    exchange(c, x, "fanout", 1);
    publish(c, x, "", "x");
    CHECK(closing(c) == 403);
}

static void duplicate_consumer_tag(void) {
    amqp_connection_state_t c = channel();
    const char *q = queue(c, "queue");
    consume(c, q, 1);
    amqp_basic_consume(c, 1, text(q), text("tag"), 0, 1, 0, amqp_empty_table);
    CHECK(reply_code(amqp_get_rpc_reply(c)) == 530);
}

static void wrong_password(void) {
    amqp_connection_state_t c = connections[connection_count++] = amqp_new_connection();
    CHECK(reply_code(login(c, vhost, "wrong")) == 403);
}

static void missing_vhost(void) {
    amqp_connection_state_t c = connections[connection_count++] = amqp_new_connection();
    CHECK(reply_code(login(c, "interop-no-such-vhost", password)) == 530);
}

static void properties(void) {
    amqp_connection_state_t c = channel();
    const char *q = queue(c, "queue");
    amqp_basic_properties_t sent = {0};
    sent._flags = AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_DELIVERY_MODE_FLAG | AMQP_BASIC_PRIORITY_FLAG |
        AMQP_BASIC_CORRELATION_ID_FLAG | AMQP_BASIC_REPLY_TO_FLAG | AMQP_BASIC_MESSAGE_ID_FLAG |
        AMQP_BASIC_TIMESTAMP_FLAG | AMQP_BASIC_TYPE_FLAG | AMQP_BASIC_APP_ID_FLAG | AMQP_BASIC_USER_ID_FLAG;
    sent.content_type = text("text/x");
    sent.delivery_mode = 2;
    sent.priority = 5;
    sent.correlation_id = text("c");
    sent.reply_to = text("r");
    sent.message_id = text("m");
    sent.timestamp = 1709210096;
    sent.type = text("t");
    sent.app_id = text("a");
    sent.user_id = text(user);
    consume(c, q, 1);
    CHECK(amqp_basic_publish(c, 1, text(""), text(q), 0, 0, &sent, text("body")) == 0);
    amqp_envelope_t e = next(c);
    amqp_basic_properties_t *seen = &e.message.properties;
    CHECK(seen->_flags == sent._flags && seen->delivery_mode == 2 && seen->priority == 5);
    CHECK(seen->timestamp == 1709210096 && is(seen->content_type, "text/x") && is(seen->user_id, user));
    CHECK(is(seen->correlation_id, "c") && is(seen->reply_to, "r") && is(seen->message_id, "m"));
    CHECK(is(seen->type, "t") && is(seen->app_id, "a"));
    amqp_destroy_envelope(&e);
}

static void header_types(void) {
    amqp_connection_state_t c = channel();
    const char *q = queue(c, "queue");
    amqp_table_entry_t entries[] = {
        {text("bool"), {.kind = AMQP_FIELD_KIND_BOOLEAN, .value.boolean = 1}},
        {text("i8"), {.kind = AMQP_FIELD_KIND_I8, .value.i8 = -5}},
        {text("u8"), {.kind = AMQP_FIELD_KIND_U8, .value.u8 = 200}},
        {text("i16"), {.kind = AMQP_FIELD_KIND_I16, .value.i16 = -300}},
        {text("u16"), {.kind = AMQP_FIELD_KIND_U16, .value.u16 = 65535}},
        {text("i32"), {.kind = AMQP_FIELD_KIND_I32, .value.i32 = -70000}},
        {text("u32"), {.kind = AMQP_FIELD_KIND_U32, .value.u32 = 4294967295u}},
        {text("i64"), {.kind = AMQP_FIELD_KIND_I64, .value.i64 = -1099511627776}},
        {text("f32"), {.kind = AMQP_FIELD_KIND_F32, .value.f32 = 0.5f}},
        {text("f64"), {.kind = AMQP_FIELD_KIND_F64, .value.f64 = -2.25}},
        {text("time"), {.kind = AMQP_FIELD_KIND_TIMESTAMP, .value.u64 = 1709210096}},
        {text("void"), {.kind = AMQP_FIELD_KIND_VOID}},
    };
    int count = sizeof entries / sizeof entries[0];
    amqp_basic_properties_t sent = {._flags = AMQP_BASIC_HEADERS_FLAG, .headers = {count, entries}};
    consume(c, q, 1);
    CHECK(amqp_basic_publish(c, 1, text(""), text(q), 0, 0, &sent, text("x")) == 0);
    amqp_envelope_t e = next(c);
    amqp_table_t *seen = &e.message.properties.headers;
    CHECK(seen->num_entries == count);
    for (int at = 0; at < count; at++) {
        CHECK(seen->entries[at].value.kind == entries[at].value.kind);
        if (entries[at].value.kind == AMQP_FIELD_KIND_I64) CHECK(seen->entries[at].value.value.i64 == -1099511627776);
        if (entries[at].value.kind == AMQP_FIELD_KIND_U16) CHECK(seen->entries[at].value.value.u16 == 65535);
        if (entries[at].value.kind == AMQP_FIELD_KIND_F64) CHECK(seen->entries[at].value.value.f64 == -2.25);
    }
    amqp_destroy_envelope(&e);
}

static void empty_message(void) {
    amqp_connection_state_t c = channel();
    const char *q = queue(c, "queue"), *bodies[] = {"", "full", ""};
    consume(c, q, 1);
    for (int at = 0; at < 3; at++) {
        publish(c, "", q, bodies[at]);
        amqp_envelope_t e = next(c);
        CHECK(is(e.message.body, bodies[at]));
        amqp_destroy_envelope(&e);
    }
}

static void large_message(void) {
    amqp_connection_state_t c = channel();
    const char *q = queue(c, "queue");
    amqp_bytes_t body = amqp_bytes_malloc(16 << 20);
    for (size_t at = 0; at < body.len; at++) ((unsigned char *)body.bytes)[at] = at * 2654435761u >> 13;
    consume(c, q, 1);
    CHECK(amqp_basic_publish(c, 1, text(""), text(q), 0, 0, NULL, body) == 0);
    amqp_envelope_t e = next(c);
    CHECK(e.message.body.len == body.len && memcmp(e.message.body.bytes, body.bytes, body.len) == 0);
    amqp_destroy_envelope(&e);
    amqp_bytes_free(body);
}

static void unicode_names(void) {
    const char *key = "zażółć-日本語-🐇.clé";
    amqp_connection_state_t c = channel();
    const char *q = queue(c, "zażółć-日本語-🐇"), *x = name("gęślą-🐇");
    exchange(c, x, "topic", 0);
    bind(c, q, x, "zażółć-日本語-🐇.*");
    consume(c, q, 1);
    publish(c, x, key, "x");
    amqp_envelope_t e = next(c);
    CHECK(is(e.exchange, x) && is(e.routing_key, key));
    amqp_destroy_envelope(&e);
}

static void many_channels(void) {
    amqp_connection_state_t c = channel();
    for (int at = 2; at <= 1000; at++) {
        amqp_channel_open(c, at);
        ok(c);
        amqp_queue_declare_ok_t *made = amqp_queue_declare(c, at, amqp_empty_bytes, 0, 0, 1, 1, amqp_empty_table);
        ok(c);
        CHECK(made->queue.len > 4);
        amqp_maybe_release_buffers(c);
    }
}

static const struct {
    const char *name;
    void (*run)(void);
} SCENARIOS[] = {
    {"hello", hello}, {"publish-subscribe", publish_subscribe}, {"routing", routing}, {"topics", topics},
    {"confirms-batch", confirms_batch}, {"mandatory-return", mandatory_return}, {"tx-commit", tx_commit},
    {"tx-rollback", tx_rollback}, {"nack-requeue", nack_requeue}, {"nack-multiple", nack_multiple},
    {"unacked-on-close", unacked_on_close}, {"cancel-notification", cancel_notification},
    {"basic-get", basic_get}, {"server-named-queue", server_named_queue}, {"exclusive-queue", exclusive_queue},
    {"purge-delete-counts", purge_delete_counts}, {"exchange-to-exchange", exchange_to_exchange},
    {"passive-declare-missing", passive_declare_missing}, {"precondition-failed", precondition_failed},
    {"publish-missing-exchange", publish_missing_exchange}, {"unknown-delivery-tag", unknown_delivery_tag},
    {"reserved-name", reserved_name}, {"internal-exchange", internal_exchange},
    {"duplicate-consumer-tag", duplicate_consumer_tag}, {"wrong-password", wrong_password},
    {"missing-vhost", missing_vhost}, {"properties", properties}, {"header-types", header_types},
    {"empty-message", empty_message}, {"large-message", large_message}, {"unicode-names", unicode_names},
    {"many-channels", many_channels},
};

static void decode(char *word) {
    char *to = word;
    for (; *word; word++) {
        unsigned int octet;
        if (*word == '%' && sscanf(word + 1, "%2x", &octet) == 1) *to++ = octet, word += 2;
        else *to++ = *word;
    }
    *to = 0;
}

static void remove_exchanges(void) {
    amqp_connection_state_t c = amqp_new_connection();
    if (login(c, vhost, password).reply_type == AMQP_RESPONSE_NORMAL && amqp_channel_open(c, 1)) {
        for (int at = 0; at < exchange_count && at < 4; at++) amqp_exchange_delete(c, 1, text(exchanges[at]), 0);
        amqp_connection_close(c, 200);
    }
    amqp_destroy_connection(c);
}

static const char *play(const char *asked) {
    connection_count = exchange_count = 0;
    scenario = asked;
    reason[0] = 0;
    for (size_t at = 0; at < sizeof SCENARIOS / sizeof SCENARIOS[0]; at++) {
        if (strcmp(SCENARIOS[at].name, asked)) continue;
        if (setjmp(failed) == 0) SCENARIOS[at].run();
        for (int open = 0; open < connection_count; open++) {
            if (amqp_get_sockfd(connections[open]) >= 0) amqp_connection_close(connections[open], 200);
            amqp_destroy_connection(connections[open]);
        }
        if (exchange_count) remove_exchanges();
        return reason[0] ? "fail" : "pass";
    }
    strcpy(reason, "not written for this client");
    return "skip";
}

int main(int count, char **words) {
    char *url = strdup(getenv("INTEROP_URL")), *rest = strstr(url, "://") + 3;
    user = strtok(rest, ":"), password = strtok(NULL, "@"), host = strtok(NULL, ":");
    port = atoi(strtok(NULL, "/"));
    char *path = strtok(NULL, "");
    vhost = path ? path : "/";
    decode(user), decode(password), decode(vhost);
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("{\"client\": \"librabbitmq\", \"version\": \"%s\"}\n", amqp_version());
    for (int at = 1; at < count; at++) {
        struct timespec from, to;
        clock_gettime(CLOCK_MONOTONIC, &from);
        const char *result = play(words[at]);
        clock_gettime(CLOCK_MONOTONIC, &to);
        long ms = (to.tv_sec - from.tv_sec) * 1000 + (to.tv_nsec - from.tv_nsec) / 1000000;
        for (char *c = reason; *c; c++) if (*c == '"' || *c == '\\') *c = '\'';
        printf("{\"scenario\": \"%s\", \"result\": \"%s\", \"reason\": \"%s\", \"ms\": %ld}\n", words[at], result, reason, ms);
    }
    return 0;
}
