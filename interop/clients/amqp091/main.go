// amqp091-go, unchanged: plays the scenarios named by its arguments, a line of JSON for each.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"reflect"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

const limit = 25 * time.Second

var broker = os.Getenv("INTEROP_URL")

// Session is what one scenario works with. Its methods panic; play turns that into a failure.
type Session struct {
	scenario    string
	connections []*amqp.Connection
	queues      []string
	exchanges   []string
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func done(err error) {
	if err != nil {
		panic(err)
	}
}

func equal(seen, expected any, what string) {
	if !reflect.DeepEqual(seen, expected) {
		panic(fmt.Errorf("%s: expected %.150v, got %.150v", what, expected, seen))
	}
}

func (s *Session) name(what string) string {
	return os.Getenv("INTEROP_PREFIX") + "." + s.scenario + "." + what
}

func (s *Session) connect() *amqp.Connection {
	connection := must(amqp.Dial(broker))
	s.connections = append(s.connections, connection)
	return connection
}

func (s *Session) channel() *amqp.Channel { return must(s.connect().Channel()) }

func (s *Session) queue(c *amqp.Channel, what string) string {
	name := s.name(what)
	s.queues = append(s.queues, name)
	must(c.QueueDeclare(name, false, false, false, false, nil))
	return name
}

func (s *Session) exchange(c *amqp.Channel, kind, what string, internal bool, args amqp.Table) string {
	name := s.name(what)
	s.exchanges = append(s.exchanges, name)
	done(c.ExchangeDeclare(name, kind, false, false, internal, false, args))
	return name
}

func (s *Session) close() {
	for _, connection := range s.connections {
		connection.Close()
	}
	connection, err := amqp.Dial(broker)
	if err != nil {
		return
	}
	defer connection.Close()
	if channel, err := connection.Channel(); err == nil {
		for _, queue := range s.queues {
			channel.QueueDelete(queue, false, false, false)
		}
		for _, exchange := range s.exchanges {
			channel.ExchangeDelete(exchange, false, false)
		}
	}
}

func publish(c *amqp.Channel, exchange, key, body string) {
	send(c, exchange, key, amqp.Publishing{Body: []byte(body)})
}

func send(c *amqp.Channel, exchange, key string, message amqp.Publishing) {
	done(c.PublishWithContext(context.Background(), exchange, key, false, false, message))
}

func get(c *amqp.Channel, queue string) amqp.Delivery {
	delivery, ok, err := c.Get(queue, false)
	done(err)
	if !ok {
		panic(errors.New("the queue is empty"))
	}
	return delivery
}

func drain(c *amqp.Channel, queue string) []string {
	bodies := []string{}
	for {
		delivery, ok, err := c.Get(queue, true)
		done(err)
		if !ok {
			return bodies
		}
		bodies = append(bodies, string(delivery.Body))
	}
}

func next[T any](from <-chan T) T {
	select {
	case value, ok := <-from:
		if !ok {
			panic(errors.New("the channel was closed"))
		}
		return value
	case <-time.After(10 * time.Second):
		panic(errors.New("waited 10 s"))
	}
}

func refused(code int, err error) *amqp.Error {
	var known *amqp.Error
	if !errors.As(err, &known) || known.Code != code {
		panic(fmt.Errorf("expected the broker to refuse with %d, it said %v", code, err))
	}
	return known
}

func closing(c *amqp.Channel) <-chan *amqp.Error { return c.NotifyClose(make(chan *amqp.Error, 1)) }

var scenarios = map[string]func(*Session){
	"hello": func(s *Session) {
		c := s.channel()
		q := s.queue(c, "queue")
		deliveries := must(c.Consume(q, "", false, false, false, false, nil))
		publish(c, "", q, "hello")
		d := next(deliveries)
		equal([]string{d.Exchange, d.RoutingKey, string(d.Body)}, []string{"", q, "hello"}, "message")
		done(d.Ack(false))
		equal(must(c.QueueDelete(q, false, false, false)), 0, "messages left")
	},
	"work-queue": func(s *Session) {
		c, idle, busy := s.channel(), s.channel(), s.channel()
		q := s.queue(c, "queue")
		done(idle.Qos(1, 0, false))
		done(busy.Qos(1, 0, false))
		one := must(idle.Consume(q, "", false, false, false, false, nil))
		publish(c, "", q, "0")
		equal(string(next(one).Body), "0", "the idle worker")
		other := must(busy.Consume(q, "", false, false, false, false, nil))
		for task := 1; task < 10; task++ {
			publish(c, "", q, fmt.Sprint(task))
		}
		for task := 1; task < 10; task++ {
			d := next(other)
			equal(string(d.Body), fmt.Sprint(task), "the busy worker")
			done(d.Ack(false))
		}
		equal(len(one), 0, "more for the idle worker")
	},
	"publish-subscribe": func(s *Session) {
		c := s.channel()
		x := s.exchange(c, "fanout", "exchange", false, nil)
		for _, what := range []string{"one", "two"} {
			done(c.QueueBind(s.queue(c, what), "", x, false, nil))
		}
		publish(c, x, "a", "a")
		publish(c, x, "b", "b")
		for _, what := range []string{"one", "two"} {
			equal(drain(c, s.name(what)), []string{"a", "b"}, what)
		}
	},
	"routing": func(s *Session) {
		c := s.channel()
		x := s.exchange(c, "direct", "exchange", false, nil)
		q, all := s.queue(c, "errors"), s.queue(c, "all")
		done(c.QueueBind(q, "error", x, false, nil))
		for _, key := range []string{"info", "warning", "error"} {
			done(c.QueueBind(all, key, x, false, nil))
		}
		for _, key := range []string{"error", "warning", "info", "Error", "debug"} {
			publish(c, x, key, key)
		}
		equal(drain(c, q), []string{"error"}, "errors")
		equal(drain(c, all), []string{"error", "warning", "info"}, "all")
	},
	"topics": func(s *Session) {
		c := s.channel()
		x := s.exchange(c, "topic", "exchange", false, nil)
		for what, patterns := range map[string][]string{"orange": {"*.orange.*"}, "rabbits": {"*.*.rabbit", "lazy.#"}, "all": {"#"}} {
			q := s.queue(c, what)
			for _, pattern := range patterns {
				done(c.QueueBind(q, pattern, x, false, nil))
			}
		}
		keys := []string{"quick.orange.rabbit", "lazy.pink.rabbit", "quick", "lazy", ""}
		for _, key := range keys {
			publish(c, x, key, key)
		}
		equal(drain(c, s.name("orange")), keys[:1], "orange")
		equal(drain(c, s.name("rabbits")), []string{keys[0], keys[1], keys[3]}, "rabbits")
		equal(drain(c, s.name("all")), keys, "all")
	},
	"headers-exchange": func(s *Session) {
		c := s.channel()
		x := s.exchange(c, "headers", "exchange", false, nil)
		for _, match := range []string{"all", "any"} {
			done(c.QueueBind(s.queue(c, match), "", x, false, amqp.Table{"x-match": match, "format": "pdf", "pages": int32(7)}))
		}
		for at, headers := range []amqp.Table{{"format": "pdf", "pages": int32(7)}, {"format": "pdf", "pages": int32(8)}, {"pages": int32(7)}, {"format": "zip"}, {}} {
			send(c, x, "", amqp.Publishing{Headers: headers, Body: []byte(fmt.Sprint(at))})
		}
		equal(drain(c, s.name("all")), []string{"0"}, "all")
		equal(drain(c, s.name("any")), []string{"0", "1", "2"}, "any")
	},
	"rpc-reply-queue": func(s *Session) {
		server, client := s.channel(), s.channel()
		q := s.queue(server, "queue")
		replies := must(client.QueueDeclare("", false, false, true, false, nil)).Name
		rpc(s, server, client, q, replies, replies)
	},
	"rpc-direct-reply-to": func(s *Session) {
		server, client := s.channel(), s.channel()
		rpc(s, server, client, s.queue(server, "queue"), "amq.rabbitmq.reply-to", "amq.rabbitmq.reply-to.")
	},
	"confirms-single": func(s *Session) {
		c := s.channel()
		q := s.queue(c, "queue")
		done(c.Confirm(false))
		for _, key := range []string{q, s.name("nowhere"), q} {
			confirmation := must(c.PublishWithDeferredConfirmWithContext(context.Background(), "", key, false, false, amqp.Publishing{}))
			equal(confirmation.Wait(), true, "confirmed")
		}
		equal(len(drain(c, q)), 2, "messages")
	},
	"confirms-batch": func(s *Session) {
		c := s.channel()
		q := s.queue(c, "queue")
		done(c.Confirm(false))
		confirms := c.NotifyPublish(make(chan amqp.Confirmation, 100))
		bodies := []string{}
		for at := 0; at < 100; at++ {
			bodies = append(bodies, fmt.Sprint(at))
			publish(c, "", q, bodies[at])
		}
		for at := 1; at <= 100; at++ {
			equal(next(confirms), amqp.Confirmation{DeliveryTag: uint64(at), Ack: true}, "confirm")
		}
		equal(drain(c, q), bodies, "bodies")
	},
	"mandatory-return": func(s *Session) {
		c := s.channel()
		q := s.queue(c, "queue")
		done(c.Confirm(false))
		returns := c.NotifyReturn(make(chan amqp.Return, 2))
		confirms := c.NotifyPublish(make(chan amqp.Confirmation, 2))
		for _, key := range []string{s.name("nowhere"), q} {
			done(c.PublishWithContext(context.Background(), "", key, true, false, amqp.Publishing{Body: []byte("x")}))
			equal(next(confirms).Ack, true, "confirmed")
		}
		back := next(returns)
		equal([]any{back.ReplyCode, back.ReplyText, string(back.Body)}, []any{uint16(312), "NO_ROUTE", "x"}, "return")
		equal(len(returns), 0, "more returns")
	},
	"tx-commit": func(s *Session) {
		c, other := s.channel(), s.channel()
		q := s.queue(c, "queue")
		done(c.Tx())
		publish(c, "", q, "1")
		equal(drain(other, q), []string{}, "before the commit")
		done(c.TxCommit())
		equal(drain(other, q), []string{"1"}, "after it")
	},
	"tx-rollback": func(s *Session) {
		c, other := s.channel(), s.channel()
		q := s.queue(c, "queue")
		publish(other, "", q, "1")
		done(c.Tx())
		var d amqp.Delivery
		for ok := false; !ok; {
			d, ok, _ = c.Get(q, false)
		}
		done(d.Ack(false))
		publish(c, "", q, "2")
		done(c.TxRollback())
		done(c.Close())
		d = get(other, q)
		equal([]any{string(d.Body), d.Redelivered}, []any{"1", true}, "message")
		equal(drain(other, q), []string{}, "more")
	},
	"nack-requeue": func(s *Session) {
		c := s.channel()
		q := s.queue(c, "queue")
		publish(c, "", q, "1")
		publish(c, "", q, "2")
		done(get(c, q).Nack(false, true))
		again := get(c, q)
		equal([]any{string(again.Body), again.Redelivered}, []any{"1", true}, "message")
		done(again.Reject(false))
		equal(drain(c, q), []string{"2"}, "left")
	},
	"nack-multiple": func(s *Session) {
		c := s.channel()
		q := s.queue(c, "queue")
		for at := 1; at <= 6; at++ {
			publish(c, "", q, fmt.Sprint(at))
		}
		var got []amqp.Delivery
		for at := 1; at <= 6; at++ {
			got = append(got, get(c, q))
		}
		done(got[3].Nack(true, false))
		done(got[5].Nack(true, true))
		equal(drain(c, q), []string{"5", "6"}, "left")
	},
	"unacked-on-close": func(s *Session) {
		c, loser := s.channel(), s.channel()
		q := s.queue(loser, "queue")
		publish(loser, "", q, "1")
		publish(loser, "", q, "2")
		get(loser, q)
		get(loser, q)
		done(loser.Close())
		for _, body := range []string{"1", "2"} {
			d := get(c, q)
			equal([]any{string(d.Body), d.Redelivered}, []any{body, true}, "message")
		}
	},
	"qos-global": func(s *Session) {
		c, other := s.channel(), s.channel()
		q := s.queue(c, "queue")
		done(other.Confirm(false))
		for at := 0; at < 10; at++ {
			confirmation := must(other.PublishWithDeferredConfirmWithContext(context.Background(), "", q, false, false, amqp.Publishing{}))
			confirmation.Wait()
		}
		done(c.Qos(3, 0, true))
		one := must(c.Consume(q, "one", false, false, false, false, nil))
		must(c.Consume(q, "two", false, false, false, false, nil))
		first := next(one)
		equal(must(c.QueueInspect(q)).Messages, 7, "ready")
		done(first.Ack(false))
		must(c.QueueInspect(q))
		for must(c.QueueInspect(q)).Messages != 6 {
		}
	},
	"cancel-notification": func(s *Session) {
		c, other := s.channel(), s.channel()
		q := s.queue(c, "queue")
		told := c.NotifyCancel(make(chan string, 1))
		must(c.Consume(q, "tag", false, false, false, false, nil))
		must(other.QueueDelete(q, false, false, false))
		equal(next(told), "tag", "consumer tag")
	},
	"basic-get": func(s *Session) {
		c := s.channel()
		q := s.queue(c, "queue")
		for _, body := range []string{"1", "2", "3"} {
			publish(c, "", q, body)
		}
		for left := uint32(3); left > 0; left-- {
			equal(get(c, q).MessageCount, left-1, "left")
		}
		equal(drain(c, q), []string{}, "the end")
	},
	"server-named-queue": func(s *Session) {
		c := s.channel()
		one := must(c.QueueDeclare("", false, false, true, false, nil)).Name
		other := must(c.QueueDeclare("", false, false, true, false, nil)).Name
		equal(one != other && strings.HasPrefix(one, "amq."), true, one+" "+other)
		publish(c, "", one, "x")
		equal(drain(c, one), []string{"x"}, "bodies")
	},
	"exclusive-queue": func(s *Session) {
		owner := s.connect()
		c := must(owner.Channel())
		q := s.name("queue")
		must(c.QueueDeclare(q, false, false, true, false, nil))
		_, err := s.channel().QueueInspect(q)
		refused(405, err)
		done(owner.Close())
		_, err = s.channel().QueueInspect(q)
		refused(404, err)
	},
	"purge-delete-counts": func(s *Session) {
		c := s.channel()
		q := s.queue(c, "queue")
		for at := 0; at < 3; at++ {
			publish(c, "", q, "x")
		}
		equal(must(c.QueuePurge(q, false)), 3, "purged")
		must(c.Consume(q, "", false, false, false, false, nil))
		equal(must(c.QueueInspect(q)).Consumers, 1, "consumers")
		equal(must(c.QueueDelete(q, false, false, false)), 0, "deleted")
	},
	"exchange-to-exchange": func(s *Session) {
		c := s.channel()
		from, to := s.exchange(c, "direct", "from", false, nil), s.exchange(c, "fanout", "to", false, nil)
		q := s.queue(c, "queue")
		done(c.QueueBind(q, "", to, false, nil))
		done(c.ExchangeBind(to, "k", from, false, nil))
		publish(c, from, "k", "1")
		equal(drain(c, q), []string{"1"}, "bound")
		done(c.ExchangeUnbind(to, "k", from, false, nil))
		publish(c, from, "k", "2")
		equal(drain(c, q), []string{}, "unbound")
	},
	"alternate-exchange": func(s *Session) {
		c := s.channel()
		spare := s.exchange(c, "fanout", "spare", false, nil)
		x := s.exchange(c, "direct", "exchange", false, amqp.Table{"alternate-exchange": spare})
		routed, rest := s.queue(c, "routed"), s.queue(c, "rest")
		done(c.QueueBind(routed, "k", x, false, nil))
		done(c.QueueBind(rest, "", spare, false, nil))
		publish(c, x, "k", "1")
		publish(c, x, "other", "2")
		equal(drain(c, routed), []string{"1"}, "routed")
		equal(drain(c, rest), []string{"2"}, "rest")
	},
	"passive-declare-missing": func(s *Session) {
		connection := s.connect()
		_, err := must(connection.Channel()).QueueDeclarePassive(s.name("none"), false, false, false, false, nil)
		refused(404, err)
		refused(404, must(connection.Channel()).ExchangeDeclarePassive(s.name("none"), "direct", false, false, false, false, nil))
		must(must(connection.Channel()).QueueDeclare("", false, false, true, false, nil))
	},
	"precondition-failed": func(s *Session) {
		c := s.channel()
		q := s.name("queue")
		s.queues = append(s.queues, q)
		must(c.QueueDeclare(q, true, false, false, false, nil))
		_, err := c.QueueDeclare(q, false, false, false, false, nil)
		reason := refused(406, err).Reason
		equal(strings.HasPrefix(reason, "PRECONDITION_FAILED - inequivalent arg 'durable' for queue"), true, reason)
	},
	"publish-missing-exchange": func(s *Session) {
		c := s.channel()
		closed := closing(c)
		publish(c, s.name("none"), "", "x")
		refused(404, next(closed))
	},
	"unknown-delivery-tag": func(s *Session) {
		c := s.channel()
		closed := closing(c)
		done(c.Ack(7, false))
		refused(406, next(closed))
	},
	"reserved-name": func(s *Session) {
		_, err := s.channel().QueueDeclare("amq."+s.name("queue"), false, false, false, false, nil)
		refused(403, err)
		refused(403, s.channel().ExchangeDeclare("amq."+s.name("x"), "direct", false, false, false, false, nil))
	},
	"internal-exchange": func(s *Session) {
		c := s.channel()
		closed := closing(c)
		publish(c, s.exchange(c, "fanout", "exchange", true, nil), "", "x")
		refused(403, next(closed))
	},
	"duplicate-consumer-tag": func(s *Session) {
		connection := s.connect()
		closed := connection.NotifyClose(make(chan *amqp.Error, 1))
		c := must(connection.Channel())
		q := s.queue(c, "queue")
		must(c.Consume(q, "tag", false, false, false, false, nil))
		c.Consume(q, "tag", false, false, false, false, nil)
		refused(530, next(closed))
	},
	"wrong-password": func(s *Session) {
		address := must(url.Parse(broker))
		address.User = url.UserPassword(address.User.Username(), "wrong")
		_, err := amqp.Dial(address.String())
		refused(403, err)
	},
	"missing-vhost": func(s *Session) {
		address := must(url.Parse(broker))
		address.Path, address.RawPath = "/interop-no-such-vhost", ""
		_, err := amqp.Dial(address.String())
		equal(err != nil, true, "refused")
	},
	"properties": func(s *Session) {
		c := s.channel()
		q := s.queue(c, "queue")
		user := must(url.Parse(broker)).User.Username()
		sent := amqp.Publishing{ContentType: "text/x", ContentEncoding: "utf-8", DeliveryMode: 2, Priority: 5, CorrelationId: "c", ReplyTo: "r",
			Expiration: "60000", MessageId: "m", Timestamp: time.Unix(1709210096, 0).UTC(), Type: "t", UserId: user, AppId: "a", Headers: amqp.Table{"k": "v"}, Body: []byte("b")}
		send(c, "", q, sent)
		d := get(c, q)
		equal(amqp.Publishing{Headers: d.Headers, ContentType: d.ContentType, ContentEncoding: d.ContentEncoding, DeliveryMode: d.DeliveryMode, Priority: d.Priority,
			CorrelationId: d.CorrelationId, ReplyTo: d.ReplyTo, Expiration: d.Expiration, MessageId: d.MessageId, Timestamp: d.Timestamp.UTC(), Type: d.Type,
			UserId: d.UserId, AppId: d.AppId, Body: d.Body}, sent, "properties")
	},
	"header-types": func(s *Session) {
		c := s.channel()
		q := s.queue(c, "queue")
		headers := amqp.Table{"bool": true, "byte": byte(200), "int8": int8(-5), "int16": int16(-300), "int32": int32(-70000), "int64": int64(1) << 40,
			"float32": float32(0.5), "float64": -2.25, "decimal": amqp.Decimal{Scale: 2, Value: 314}, "text": "żółw 🐢", "binary": []byte{0, 255},
			"time": time.Unix(1709210096, 0), "void": nil, "array": []any{int32(1), "two", nil}, "table": amqp.Table{"nested": amqp.Table{"x": int32(1)}}}
		send(c, "", q, amqp.Publishing{Headers: headers})
		seen := get(c, q).Headers
		for name, value := range headers {
			equal(seen[name], value, name)
		}
	},
	"empty-message": func(s *Session) {
		c := s.channel()
		q := s.queue(c, "queue")
		deliveries := must(c.Consume(q, "", true, false, false, false, nil))
		for _, body := range []string{"", "full", ""} {
			publish(c, "", q, body)
			equal(string(next(deliveries).Body), body, "body")
		}
	},
	"large-message": func(s *Session) {
		c := s.channel()
		q := s.queue(c, "queue")
		body := bytes.Repeat([]byte("0123456789abcdef"), 1<<20)
		deliveries := must(c.Consume(q, "", true, false, false, false, nil))
		send(c, "", q, amqp.Publishing{Body: body})
		equal(bytes.Equal(next(deliveries).Body, body), true, "the body arrives whole")
	},
	"unicode-names": func(s *Session) {
		unicode := "zażółć-gęślą-日本語-🐇"
		c := s.channel()
		q, x := s.queue(c, unicode), s.exchange(c, "topic", unicode, false, nil)
		done(c.QueueBind(q, unicode+".*", x, false, nil))
		deliveries := must(c.Consume(q, unicode, true, false, false, false, nil))
		publish(c, x, unicode+".clé", "x")
		d := next(deliveries)
		equal([]string{d.Exchange, d.RoutingKey, d.ConsumerTag}, []string{x, unicode + ".clé", unicode}, "names")
	},
	"many-channels": func(s *Session) {
		connection := s.connect()
		for at := 0; at < 1000; at++ {
			c := must(connection.Channel())
			if at%5 == 0 {
				q := must(c.QueueDeclare("", false, false, true, false, nil)).Name
				publish(c, "", q, fmt.Sprint(at))
				equal(drain(c, q), []string{fmt.Sprint(at)}, "bodies")
			}
		}
	},
	"heartbeats": func(s *Session) {
		connection := must(amqp.DialConfig(broker, amqp.Config{Heartbeat: time.Second}))
		s.connections = append(s.connections, connection)
		time.Sleep(4 * time.Second)
		must(must(connection.Channel()).QueueDeclare("", false, false, true, false, nil))
	},
}

func rpc(s *Session, server, client *amqp.Channel, queue, replies, prefix string) {
	requests := must(server.Consume(queue, "", true, false, false, false, nil))
	answers := must(client.Consume(replies, "", true, false, false, false, nil))
	for call := 1; call <= 3; call++ {
		id := fmt.Sprint(call)
		send(client, "", queue, amqp.Publishing{ReplyTo: replies, CorrelationId: id, Body: []byte("ask")})
		request := next(requests)
		equal(strings.HasPrefix(request.ReplyTo, prefix), true, request.ReplyTo)
		send(server, "", request.ReplyTo, amqp.Publishing{CorrelationId: request.CorrelationId, Body: []byte("answer")})
		answer := next(answers)
		equal([]string{answer.CorrelationId, string(answer.Body)}, []string{id, "answer"}, "answer")
	}
}

func play(name string) (result, reason string) {
	run := scenarios[name]
	if run == nil {
		return "skip", "not written for this client"
	}
	session := &Session{scenario: name}
	ended := make(chan string, 1)
	go func() {
		defer func() {
			if trouble := recover(); trouble != nil {
				ended <- fmt.Sprint(trouble)
				return
			}
			ended <- ""
		}()
		run(session)
	}()
	select {
	case reason = <-ended:
	case <-time.After(limit):
		reason = "not done in time"
	}
	session.close()
	if reason != "" {
		return "fail", reason
	}
	return "pass", ""
}

func say(line map[string]any) {
	text, _ := json.Marshal(line)
	fmt.Println(string(text))
}

func main() {
	say(map[string]any{"client": "amqp091", "version": "1.5.0"})
	for _, name := range os.Args[1:] {
		started := time.Now()
		result, reason := play(name)
		say(map[string]any{"scenario": name, "result": result, "reason": reason, "ms": time.Since(started).Milliseconds()})
	}
}
