<?php
// php-amqplib, unchanged: plays the scenarios named by its arguments, a line of JSON for each.
// It logs in with AMQPLAIN, which is what it does when not told otherwise.

error_reporting(E_ALL & ~E_DEPRECATED);
ini_set('display_errors', 'stderr');
require_once 'PhpAmqpLib/autoload.php';

use PhpAmqpLib\Connection\AMQPStreamConnection;
use PhpAmqpLib\Exception\AMQPConnectionClosedException;
use PhpAmqpLib\Exception\AMQPProtocolChannelException;
use PhpAmqpLib\Exception\AMQPProtocolConnectionException;
use PhpAmqpLib\Message\AMQPMessage;
use PhpAmqpLib\Wire\AMQPTable;

const WAIT_S = 10;
$broker = parse_url(getenv('INTEROP_URL'));

function equal($seen, $expected, string $what): void
{
    if ($seen !== $expected) {
        $text = fn ($value) => substr(json_encode($value, JSON_PARTIAL_OUTPUT_ON_ERROR), 0, 150);
        throw new Exception("$what: expected {$text($expected)}, got {$text($seen)}");
    }
}

function refused(int $code, callable $call): string
{
    try {
        $call();
    } catch (AMQPProtocolChannelException | AMQPProtocolConnectionException | AMQPConnectionClosedException $error) {
        equal($error->getCode(), $code, 'reply code');
        return $error->getMessage();
    }
    throw new Exception("expected the broker to refuse with $code, it did not");
}

/** What one scenario works with: connections, names, and what must be removed at its end. */
class Session
{
    private array $connections = [];
    public array $queues = [];
    public array $exchanges = [];

    public function __construct(private string $scenario)
    {
    }

    public function name(string $what = 'queue'): string
    {
        return getenv('INTEROP_PREFIX') . ".{$this->scenario}.$what";
    }

    public function connect(array $change = [], int $heartbeat = 0): AMQPStreamConnection
    {
        global $broker;
        $at = $change + $broker;
        $connection = new AMQPStreamConnection(
            $at['host'], $at['port'], urldecode($at['user']), urldecode($at['pass']), urldecode(substr($at['path'], 1)) ?: '/',
            false, 'AMQPLAIN', null, 'en_US', 3.0, 30.0, null, false, $heartbeat
        );
        return $this->connections[] = $connection;
    }

    public function channel()
    {
        return $this->connect()->channel();
    }

    public function queue($channel, string $what = 'queue'): string
    {
        $this->queues[] = $this->name($what);
        $channel->queue_declare($this->name($what), false, false, false, false);
        return $this->name($what);
    }

    public function exchange($channel, string $type, string $what = 'exchange', bool $internal = false, array $arguments = []): string
    {
        $this->exchanges[] = $this->name($what);
        $channel->exchange_declare($this->name($what), $type, false, false, false, $internal, false, new AMQPTable($arguments));
        return $this->name($what);
    }

    public function close(): void
    {
        foreach ($this->connections as $connection) {
            try {
                $connection->close();
            } catch (Throwable) {
            }
        }
        $connection = $this->connect();
        foreach ($this->queues as $queue) {
            $connection->channel()->queue_delete($queue);
        }
        foreach ($this->exchanges as $exchange) {
            $connection->channel()->exchange_delete($exchange);
        }
        $connection->close();
    }
}

function send($channel, string $exchange, string $key, string $body, array $properties = [], bool $mandatory = false): void
{
    $channel->basic_publish(new AMQPMessage($body, $properties), $exchange, $key, $mandatory);
}

function drain($channel, string $queue): array
{
    for ($bodies = []; $message = $channel->basic_get($queue, true);) {
        $bodies[] = $message->getBody();
    }
    return $bodies;
}

/** Consume into an ArrayObject; `collect` waits for so many deliveries. */
function consume($channel, string $queue, bool $noAck = true, string $tag = ''): ArrayObject
{
    $inbox = new ArrayObject();
    $channel->basic_consume($queue, $tag, false, $noAck, false, false, fn ($message) => $inbox->append($message));
    return $inbox;
}

function collect($channel, ArrayObject $inbox, int $count): array
{
    while (count($inbox) < $count) {
        $channel->wait(null, false, WAIT_S);
    }
    return $inbox->getArrayCopy();
}

function bodies(array $messages): array
{
    return array_map(fn ($message) => $message->getBody(), $messages);
}

function rpc($server, $client, string $queue, string $replies, string $prefix): void
{
    $requests = consume($server, $queue);
    $answers = consume($client, $replies);
    for ($call = 1; $call <= 3; $call++) {
        send($client, '', $queue, 'ask', ['reply_to' => $replies, 'correlation_id' => "$call"]);
        $request = collect($server, $requests, $call)[$call - 1];
        equal(str_starts_with($request->get('reply_to'), $prefix), true, 'reply-to ' . $request->get('reply_to'));
        send($server, '', $request->get('reply_to'), 'answer', ['correlation_id' => $request->get('correlation_id')]);
        $answer = collect($client, $answers, $call)[$call - 1];
        equal([$answer->get('correlation_id'), $answer->getBody()], ["$call", 'answer'], 'answer');
    }
}

$scenarios = [
    'hello' => function (Session $s) {
        $c = $s->channel();
        $q = $s->queue($c);
        $inbox = consume($c, $q, false);
        send($c, '', $q, 'hello');
        [$message] = collect($c, $inbox, 1);
        equal([$message->getExchange(), $message->getRoutingKey(), $message->getBody()], ['', $q, 'hello'], 'message');
        $message->ack();
        equal($c->queue_delete($q), 0, 'messages left');
    },
    'work-queue' => function (Session $s) {
        [$c, $idle, $busy] = [$s->channel(), $s->channel(), $s->channel()];
        $q = $s->queue($c);
        $idle->basic_qos(0, 1, false);
        $busy->basic_qos(0, 1, false);
        $one = consume($idle, $q, false);
        send($c, '', $q, '0');
        collect($idle, $one, 1);
        $other = consume($busy, $q, false);
        for ($task = 1; $task < 10; $task++) {
            send($c, '', $q, "$task");
        }
        for ($task = 1; $task < 10; $task++) {
            collect($busy, $other, $task)[$task - 1]->ack();
        }
        equal(bodies($other->getArrayCopy()), array_map('strval', range(1, 9)), 'the busy worker');
    },
    'publish-subscribe' => function (Session $s) {
        $c = $s->channel();
        $x = $s->exchange($c, 'fanout');
        foreach (['one', 'two'] as $what) {
            $c->queue_bind($s->queue($c, $what), $x);
        }
        foreach (['a', 'b'] as $key) {
            send($c, $x, $key, $key);
        }
        foreach (['one', 'two'] as $what) {
            equal(drain($c, $s->name($what)), ['a', 'b'], $what);
        }
    },
    'routing' => function (Session $s) {
        $c = $s->channel();
        $x = $s->exchange($c, 'direct');
        [$errors, $all] = [$s->queue($c, 'errors'), $s->queue($c, 'all')];
        $c->queue_bind($errors, $x, 'error');
        foreach (['info', 'warning', 'error'] as $key) {
            $c->queue_bind($all, $x, $key);
        }
        foreach (['error', 'warning', 'info', 'Error', 'debug'] as $key) {
            send($c, $x, $key, $key);
        }
        equal(drain($c, $errors), ['error'], 'errors');
        equal(drain($c, $all), ['error', 'warning', 'info'], 'all');
    },
    'topics' => function (Session $s) {
        $c = $s->channel();
        $x = $s->exchange($c, 'topic');
        foreach (['orange' => ['*.orange.*'], 'rabbits' => ['*.*.rabbit', 'lazy.#'], 'all' => ['#']] as $what => $patterns) {
            $q = $s->queue($c, $what);
            foreach ($patterns as $pattern) {
                $c->queue_bind($q, $x, $pattern);
            }
        }
        $keys = ['quick.orange.rabbit', 'lazy.pink.rabbit', 'quick', 'lazy', ''];
        foreach ($keys as $key) {
            send($c, $x, $key, $key);
        }
        equal(drain($c, $s->name('orange')), [$keys[0]], 'orange');
        equal(drain($c, $s->name('rabbits')), [$keys[0], $keys[1], $keys[3]], 'rabbits');
        equal(drain($c, $s->name('all')), $keys, 'all');
    },
    'headers-exchange' => function (Session $s) {
        $c = $s->channel();
        $x = $s->exchange($c, 'headers');
        foreach (['all', 'any'] as $match) {
            $c->queue_bind($s->queue($c, $match), $x, '', false, new AMQPTable(['x-match' => $match, 'format' => 'pdf', 'pages' => 7]));
        }
        foreach ([['format' => 'pdf', 'pages' => 7], ['format' => 'pdf', 'pages' => 8], ['pages' => 7], ['format' => 'zip'], []] as $at => $headers) {
            send($c, $x, '', "$at", ['application_headers' => new AMQPTable($headers)]);
        }
        equal(drain($c, $s->name('all')), ['0'], 'all');
        equal(drain($c, $s->name('any')), ['0', '1', '2'], 'any');
    },
    'rpc-reply-queue' => function (Session $s) {
        [$server, $client] = [$s->channel(), $s->channel()];
        [$replies] = $client->queue_declare('', false, false, true);
        rpc($server, $client, $s->queue($server), $replies, $replies);
    },
    'rpc-direct-reply-to' => function (Session $s) {
        [$server, $client] = [$s->channel(), $s->channel()];
        rpc($server, $client, $s->queue($server), 'amq.rabbitmq.reply-to', 'amq.rabbitmq.reply-to.');
    },
    'confirms-single' => function (Session $s) {
        $c = $s->channel();
        $q = $s->queue($c);
        $acks = 0;
        $c->set_ack_handler(function () use (&$acks) {
            $acks++;
        });
        $c->confirm_select();
        foreach ([$q, $s->name('nowhere'), $q] as $at => $key) {
            send($c, '', $key, 'x');
            $c->wait_for_pending_acks(WAIT_S);
            equal($acks, $at + 1, 'confirms');
        }
        equal(drain($c, $q), ['x', 'x'], 'bodies');
    },
    'confirms-batch' => function (Session $s) {
        $c = $s->channel();
        $q = $s->queue($c);
        $acks = 0;
        $c->set_ack_handler(function () use (&$acks) {
            $acks++;
        });
        $c->confirm_select();
        $sent = array_map('strval', range(0, 99));
        foreach ($sent as $body) {
            send($c, '', $q, $body);
        }
        $c->wait_for_pending_acks(WAIT_S);
        equal($acks, 100, 'confirms');
        equal(drain($c, $q), $sent, 'bodies');
    },
    'mandatory-return' => function (Session $s) {
        $c = $s->channel();
        $q = $s->queue($c);
        $returns = [];
        $c->set_return_listener(function ($code, $text, $exchange, $key, $message) use (&$returns) {
            $returns[] = [$code, $text, $message->getBody()];
        });
        $c->confirm_select();
        send($c, '', $s->name('nowhere'), 'back', [], true);
        send($c, '', $q, 'there', [], true);
        $c->wait_for_pending_acks_returns(WAIT_S);
        equal($returns, [[312, 'NO_ROUTE', 'back']], 'returns');
    },
    'tx-commit' => function (Session $s) {
        [$c, $other] = [$s->channel(), $s->channel()];
        $q = $s->queue($c);
        $c->tx_select();
        send($c, '', $q, '1');
        equal(drain($other, $q), [], 'before the commit');
        $c->tx_commit();
        equal(drain($other, $q), ['1'], 'after it');
    },
    'tx-rollback' => function (Session $s) {
        [$c, $other] = [$s->channel(), $s->channel()];
        $q = $s->queue($c);
        send($c, '', $q, '1');
        $c->tx_select();
        while (!($message = $c->basic_get($q))) {
        }
        $message->ack();
        send($c, '', $q, '2');
        $c->tx_rollback();
        $c->close();
        $message = $other->basic_get($q, true);
        equal([$message->getBody(), $message->isRedelivered(), drain($other, $q)], ['1', true, []], 'messages');
    },
    'nack-requeue' => function (Session $s) {
        $c = $s->channel();
        $q = $s->queue($c);
        send($c, '', $q, '1');
        send($c, '', $q, '2');
        $c->basic_get($q)->nack(true);
        $again = $c->basic_get($q);
        equal([$again->getBody(), $again->isRedelivered()], ['1', true], 'message');
        $again->reject(false);
        equal(drain($c, $q), ['2'], 'left');
    },
    'nack-multiple' => function (Session $s) {
        $c = $s->channel();
        $q = $s->queue($c);
        for ($at = 1; $at <= 6; $at++) {
            send($c, '', $q, "$at");
        }
        for ($at = 1; $at <= 6; $at++) {
            $c->basic_get($q);
        }
        $c->basic_nack(4, true, false);
        $c->basic_nack(6, true, true);
        equal(drain($c, $q), ['5', '6'], 'left');
    },
    'unacked-on-close' => function (Session $s) {
        [$loser, $c] = [$s->channel(), $s->channel()];
        $q = $s->queue($loser);
        send($loser, '', $q, '1');
        send($loser, '', $q, '2');
        $loser->basic_get($q);
        $loser->basic_get($q);
        $loser->close();
        foreach (['1', '2'] as $body) {
            $message = $c->basic_get($q, true);
            equal([$message->getBody(), $message->isRedelivered()], [$body, true], 'message');
        }
    },
    'cancel-notification' => function (Session $s) {
        [$c, $other] = [$s->channel(), $s->channel()];
        $q = $s->queue($c);
        consume($c, $q, true, 'tag');
        $other->queue_delete($q);
        try {
            $c->wait(null, false, WAIT_S);
        } catch (PhpAmqpLib\Exception\AMQPBasicCancelException $cancel) {
            equal($cancel->consumerTag, 'tag', 'consumer tag');
            return;
        }
        throw new Exception('it was not told');
    },
    'basic-get' => function (Session $s) {
        $c = $s->channel();
        $q = $s->queue($c);
        foreach (['1', '2', '3'] as $body) {
            send($c, '', $q, $body);
        }
        foreach ([2, 1, 0] as $left) {
            equal((int) $c->basic_get($q, true)->getMessageCount(), $left, 'left');
        }
        equal($c->basic_get($q, true), null, 'the end');
    },
    'server-named-queue' => function (Session $s) {
        $c = $s->channel();
        [$one] = $c->queue_declare('', false, false, true);
        [$other] = $c->queue_declare('', false, false, true);
        equal([$one === $other, str_starts_with($one, 'amq.')], [false, true], "$one $other");
        send($c, '', $one, 'x');
        equal(drain($c, $one), ['x'], 'bodies');
    },
    'exclusive-queue' => function (Session $s) {
        $owner = $s->connect();
        $owner->channel()->queue_declare($s->name(), false, false, true);
        refused(405, fn () => $s->channel()->queue_declare($s->name(), true));
        $owner->close();
        refused(404, fn () => $s->channel()->queue_declare($s->name(), true));
    },
    'purge-delete-counts' => function (Session $s) {
        $c = $s->channel();
        $q = $s->queue($c);
        for ($at = 0; $at < 3; $at++) {
            send($c, '', $q, 'x');
        }
        equal($c->queue_purge($q), 3, 'purged');
        consume($c, $q);
        equal($c->queue_declare($q, true)[2], 1, 'consumers');
        equal($c->queue_delete($q), 0, 'deleted');
    },
    'exchange-to-exchange' => function (Session $s) {
        $c = $s->channel();
        [$from, $to, $q] = [$s->exchange($c, 'direct', 'from'), $s->exchange($c, 'fanout', 'to'), $s->queue($c)];
        $c->queue_bind($q, $to);
        $c->exchange_bind($to, $from, 'k');
        send($c, $from, 'k', '1');
        equal(drain($c, $q), ['1'], 'bound');
        $c->exchange_unbind($to, $from, 'k');
        send($c, $from, 'k', '2');
        equal(drain($c, $q), [], 'unbound');
    },
    'alternate-exchange' => function (Session $s) {
        $c = $s->channel();
        $spare = $s->exchange($c, 'fanout', 'spare');
        $x = $s->exchange($c, 'direct', 'exchange', false, ['alternate-exchange' => $spare]);
        $c->queue_bind($s->queue($c, 'routed'), $x, 'k');
        $c->queue_bind($s->queue($c, 'rest'), $spare);
        send($c, $x, 'k', '1');
        send($c, $x, 'other', '2');
        equal([drain($c, $s->name('routed')), drain($c, $s->name('rest'))], [['1'], ['2']], 'routed, rest');
    },
    'passive-declare-missing' => function (Session $s) {
        $connection = $s->connect();
        refused(404, fn () => $connection->channel()->queue_declare($s->name('none'), true));
        refused(404, fn () => $connection->channel()->exchange_declare($s->name('none'), 'direct', true));
        $connection->channel()->queue_declare('', false, false, true);
    },
    'precondition-failed' => function (Session $s) {
        $c = $s->channel();
        $s->queues[] = $s->name();
        $c->queue_declare($s->name(), false, true, false, false);
        $text = refused(406, fn () => $c->queue_declare($s->name(), false, false, false, false));
        equal(str_contains($text, "inequivalent arg 'durable' for queue"), true, $text);
    },
    'publish-missing-exchange' => function (Session $s) {
        $c = $s->channel();
        send($c, $s->name('none'), '', 'x');
        refused(404, fn () => $c->wait(null, false, WAIT_S));
    },
    'unknown-delivery-tag' => function (Session $s) {
        $c = $s->channel();
        $c->basic_ack(7);
        refused(406, fn () => $c->wait(null, false, WAIT_S));
    },
    'reserved-name' => function (Session $s) {
        refused(403, fn () => $s->channel()->queue_declare('amq.' . $s->name()));
        refused(403, fn () => $s->channel()->exchange_declare('amq.' . $s->name(), 'direct'));
    },
    'internal-exchange' => function (Session $s) {
        $c = $s->channel();
        send($c, $s->exchange($c, 'fanout', 'exchange', true), '', 'x');
        refused(403, fn () => $c->wait(null, false, WAIT_S));
    },
    'wrong-password' => fn (Session $s) => refused(403, fn () => $s->connect(['pass' => 'wrong'])),
    'missing-vhost' => fn (Session $s) => refused(530, fn () => $s->connect(['path' => '/interop-no-such-vhost'])),
    'properties' => function (Session $s) {
        global $broker;
        $c = $s->channel();
        $q = $s->queue($c);
        $sent = ['content_type' => 'text/x', 'content_encoding' => 'utf-8', 'delivery_mode' => 2, 'priority' => 5, 'correlation_id' => 'c',
            'reply_to' => 'r', 'expiration' => '60000', 'message_id' => 'm', 'timestamp' => 1709210096, 'type' => 't',
            'user_id' => $broker['user'], 'app_id' => 'a', 'cluster_id' => 'k'];
        send($c, '', $q, 'body', $sent);
        equal($c->basic_get($q, true)->get_properties(), $sent, 'properties');
    },
    'header-types' => function (Session $s) {
        $c = $s->channel();
        $q = $s->queue($c);
        $headers = ['bool' => true, 'int' => -3, 'long' => 1 << 40, 'text' => 'żółw 🐢', 'empty' => '', 'void' => null,
            'array' => [1, 'two', null, [3]], 'table' => ['nested' => ['x' => 1]]];
        send($c, '', $q, 'body', ['application_headers' => new AMQPTable($headers)]);
        equal($c->basic_get($q, true)->get('application_headers')->getNativeData(), $headers, 'headers');
    },
    'empty-message' => function (Session $s) {
        $c = $s->channel();
        $q = $s->queue($c);
        $inbox = consume($c, $q);
        foreach (['', 'full', ''] as $body) {
            send($c, '', $q, $body);
        }
        equal(bodies(collect($c, $inbox, 3)), ['', 'full', ''], 'bodies');
    },
    'large-message' => function (Session $s) {
        $c = $s->channel();
        $q = $s->queue($c);
        $body = str_repeat('0123456789abcdef', 1 << 20);
        $inbox = consume($c, $q);
        send($c, '', $q, $body);
        equal(collect($c, $inbox, 1)[0]->getBody() === $body, true, 'the body arrives whole');
    },
    'unicode-names' => function (Session $s) {
        $unicode = 'zażółć-gęślą-日本語-🐇';
        $c = $s->channel();
        [$q, $x] = [$s->queue($c, $unicode), $s->exchange($c, 'topic', $unicode)];
        $c->queue_bind($q, $x, "$unicode.*");
        $inbox = consume($c, $q, true, $unicode);
        send($c, $x, "$unicode.clé", 'x');
        [$message] = collect($c, $inbox, 1);
        equal([$message->getExchange(), $message->getRoutingKey(), $message->getConsumerTag()], [$x, "$unicode.clé", $unicode], 'names');
    },
    'many-channels' => function (Session $s) {
        $connection = $s->connect();
        for ($at = 0; $at < 200; $at++) {
            $c = $connection->channel();
            [$q] = $c->queue_declare('', false, false, true);
            send($c, '', $q, "$at");
            equal(drain($c, $q), ["$at"], "channel $at");
        }
    },
];

function play(?callable $run, string $name): array
{
    if ($run === null) {
        return ['skip', 'not written for this client'];
    }
    $session = new Session($name);
    try {
        $run($session);
        $answer = ['pass', ''];
    } catch (Throwable $error) {
        $answer = ['fail', get_class($error) . ': ' . $error->getMessage()];
    }
    try {
        $session->close();
    } catch (Throwable) {
    }
    return $answer;
}

$version = trim((string) shell_exec('dpkg-query -W -f \'${Version}\' php-amqplib 2>/dev/null'));
echo json_encode(['client' => 'phpamqplib', 'version' => strtok($version, '-') ?: '']), "\n";
foreach (array_slice($argv, 1) as $name) {
    $started = microtime(true);
    [$result, $reason] = play($scenarios[$name] ?? null, $name);
    $ms = (int) ((microtime(true) - $started) * 1000);
    echo json_encode(['scenario' => $name, 'result' => $result, 'reason' => $reason, 'ms' => $ms]), "\n";
}
