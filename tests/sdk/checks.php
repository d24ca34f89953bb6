<?php

// What PHP apps do with cURL over Bursar's socket: php checks.php SOCKET.
//
// One line of JSON a check: {"check": NAME, "got": FACTS}. What the facts must be stands in tests/sdk.rs.

declare(strict_types=1);

const UPSTREAMS = ['openai', 'anthropic', 'gemini', 'sandbox'];
const TOOL = [
    'type' => 'function',
    'function' => [
        'name' => 'get_weather',
        'description' => 'The weather of a city',
        'strict' => true,
        'parameters' => [
            'type' => 'object',
            'properties' => ['city' => ['type' => 'string']],
            'required' => ['city'],
            'additionalProperties' => false,
        ],
    ],
];
const WEATHER = [
    'type' => 'object',
    'properties' => ['city' => ['type' => 'string'], 'degrees' => ['type' => 'integer']],
    'required' => ['city', 'degrees'],
    'additionalProperties' => false,
];

function tell(string $check, mixed $got): void
{
    echo json_encode(['check' => $check, 'got' => $got], JSON_THROW_ON_ERROR), "\n";
}

function model(string $upstream, string $check): string
{
    if ($upstream === 'sandbox') {
        return $check === 'embeddings' ? 'sandbox/embed' : 'sandbox/echo';
    }
    return "$upstream-$check/m";
}

function says(string $text): array
{
    return [['role' => 'user', 'content' => $text]];
}

// A request, and the reply's status, headers and body. With $read, the body goes there in pieces instead.
function call(string $path, ?array $body = null, array $headers = [], ?callable $read = null): array
{
    $got = [];
    $curl = curl_init("http://bursar/v1/$path");
    curl_setopt_array($curl, [
        CURLOPT_UNIX_SOCKET_PATH => $GLOBALS['argv'][1],
        CURLOPT_RETURNTRANSFER => true,
        CURLOPT_HTTPHEADER => ['Content-Type: application/json', 'Authorization: Bearer sk-client-canary', ...$headers],
        CURLOPT_HEADERFUNCTION => function ($curl, string $line) use (&$got): int {
            if (str_contains($line, ':')) {
                [$name, $value] = explode(':', $line, 2);
                $got[strtolower($name)] = trim($value);
            }
            return strlen($line);
        },
    ]);
    if ($body !== null) {
        curl_setopt($curl, CURLOPT_POSTFIELDS, json_encode($body, JSON_THROW_ON_ERROR));
    }
    if ($read !== null) {
        curl_setopt($curl, CURLOPT_WRITEFUNCTION, fn ($curl, string $bytes): int => $read($bytes));
    }
    $text = curl_exec($curl);
    return [
        'status' => curl_getinfo($curl, CURLINFO_RESPONSE_CODE),
        'headers' => $got,
        'body' => is_string($text) ? json_decode($text, true, flags: JSON_THROW_ON_ERROR) : null,
    ];
}

function chat(array $body, array $headers = []): array
{
    return call('chat/completions', $body, $headers);
}

// A stream's chunks, and whether [DONE] came.
function chunks(array $body): array
{
    $text = '';
    call('chat/completions', $body + ['stream' => true], [], function (string $bytes) use (&$text): int {
        $text .= $bytes;
        return strlen($bytes);
    });
    preg_match_all('/^data: (.*)$/m', $text, $found);
    $done = end($found[1]) === '[DONE]';
    $chunks = array_filter($found[1], fn (string $data) => $data !== '[DONE]');
    return [array_map(fn (string $data) => json_decode($data, true, flags: JSON_THROW_ON_ERROR), $chunks), $done];
}

function counted(array $usage): array
{
    return ['input' => $usage['prompt_tokens'], 'output' => $usage['completion_tokens']];
}

function checkChat(string $upstream): void
{
    $reply = chat(['model' => model($upstream, 'chat'), 'messages' => says('Hello')])['body'];
    ['message' => $message, 'finish_reason' => $finish] = $reply['choices'][0];
    tell("chat $upstream", ['text' => $message['content'], 'finish' => $finish] + counted($reply['usage']));
}

function checkStream(string $upstream): void
{
    [$chunks] = chunks([
        'model' => model($upstream, 'stream'), 'messages' => says('one two three'),
        'stream_options' => ['include_usage' => true],
    ]);
    [$text, $finish, $usage] = ['', null, null];
    foreach ($chunks as $chunk) {
        $usage = $chunk['usage'] ?? $usage;
        foreach ($chunk['choices'] as $choice) {
            $text .= $choice['delta']['content'] ?? '';
            $finish = $choice['finish_reason'] ?? $finish;
        }
    }
    tell("stream $upstream", ['text' => $text, 'finish' => $finish] + counted($usage));
}

function checkTools(string $upstream): void
{
    $asked = ['model' => model($upstream, 'tools'), 'tools' => [TOOL]];
    $messages = says('/tool get_weather');
    $choice = chat($asked + ['messages' => $messages])['body']['choices'][0];
    $call = $choice['message']['tool_calls'][0];
    array_push(
        $messages,
        $choice['message'],
        ['role' => 'tool', 'tool_call_id' => $call['id'], 'content' => '{"degrees": 7}'],
    );
    $after = chat($asked + ['messages' => $messages])['body']['choices'][0];
    tell("tools $upstream", [
        'name' => $call['function']['name'],
        'arguments' => json_decode($call['function']['arguments'], true),
        'finish' => $choice['finish_reason'],
        'then' => $after['message']['content'],
    ]);
}

function checkStreamedCall(string $upstream): void
{
    $body = ['model' => model($upstream, 'call'), 'tools' => [TOOL], 'messages' => says('/tool get_weather')];
    [$name, $arguments, $finish] = ['', '', null];
    foreach (chunks($body)[0] as $chunk) {
        foreach ($chunk['choices'] as $choice) {
            $finish = $choice['finish_reason'] ?? $finish;
            foreach ($choice['delta']['tool_calls'] ?? [] as $call) {
                $name .= $call['function']['name'] ?? '';
                $arguments .= $call['function']['arguments'] ?? '';
            }
        }
    }
    $arguments = json_decode($arguments, true);
    tell("call $upstream", ['name' => $name, 'arguments' => $arguments, 'finish' => $finish]);
}

function checkStructured(string $upstream): void
{
    $format = ['type' => 'json_schema', 'json_schema' => ['name' => 'weather', 'strict' => true, 'schema' => WEATHER]];
    $asked = ['model' => model($upstream, 'json'), 'messages' => says('The weather of Oslo')];
    $reply = chat($asked + ['response_format' => $format])['body'];
    tell("json $upstream", json_decode($reply['choices'][0]['message']['content'], true));
}

function checkEmbeddings(string $upstream): void
{
    $asked = ['model' => model($upstream, 'embeddings'), 'input' => ['one', 'two'], 'encoding_format' => 'base64'];
    $data = call('embeddings', $asked)['body']['data'];
    [$one, $two] = array_column($data, 'embedding');
    $first = array_map(fn (float $value) => sprintf('%.6f', $value), array_slice(unpack('g*', base64_decode($one)), 0, 2));
    tell("embeddings $upstream", ['count' => count($data), 'first' => $first, 'same' => $one === $two]);
}

function checkModels(): void
{
    $listed = array_column(call('models')['body']['data'], 'id');
    $known = fn (string $id) => str_starts_with($id, 'sandbox/') || $id === 'fast';
    tell('models', array_values(array_filter($listed, $known)));
    foreach (['sandbox/echo', 'fast'] as $name) {
        $one = call('models/' . rawurlencode($name))['body'];
        tell("model $name", ['id' => $one['id'], 'owned_by' => $one['owned_by']]);
    }
}

function checkRoute(): void
{
    $reply = chat(['model' => 'fast', 'messages' => says('Hello')]);
    $text = $reply['body']['choices'][0]['message']['content'];
    tell('route', ['text' => $text, 'model' => $reply['headers']['x-bursar-model']]);
}

function checkPin(): void
{
    foreach (['openai-pin:second', 'openai-pin:main'] as $connection) {
        $headers = ["X-Bursar-Connection: $connection", 'X-Bursar-Feature: from-header'];
        $reply = chat(['model' => 'openai-pin/m', 'messages' => says('Hello')], $headers);
        tell("pin $connection", $reply['headers']['x-bursar-connection']);
    }
}

function checkLabel(): void
{
    $metadata = ['bursar_feature' => 'from-body', 'kept' => 'yes'];
    $reply = chat(['model' => 'openai-label/m', 'messages' => says('Hello'), 'metadata' => $metadata]);
    tell('label', $reply['body']['choices'][0]['message']['content']);
}

function error(string $check, array $reply): void
{
    $error = $reply['body']['error'] ?? ['code' => 'no error'];
    tell($check, ['status' => $reply['status'], 'code' => $error['code'], 'param' => $error['param'] ?? null]);
}

function checkErrors(): void
{
    $asks = fn (string $name, array $more = [], array $headers = []) =>
        chat($more + ['model' => $name, 'messages' => says('Hello')], $headers);
    error('unknown model', $asks('nowhere'));
    error("unknown provider's model", call('models/sandbox%2Fnone'));
    error('caller', $asks('err-caller/m'));
    error('caller gemini', $asks('err-gemini/m'));
    error('rate', $asks('err-rate/m'));
    error('credential', $asks('err-credential/m'));
    error('capability', $asks('chat-only/chat', ['tools' => [TOOL]]));
    error('bad label', $asks('sandbox/echo', [], ['X-Bursar-Feature: No Label']));
    error('bad body', $asks('sandbox/echo', ['messages' => 7]));
    error('too slow', $asks('sandbox/echo', [], ['X-Bursar-Timeout-Ms: 50', 'X-Bursar-Sandbox: hang']));
    error('no retries', $asks('err-retries/m'));
}

function checkCut(): void
{
    [$chunks, $done] = chunks(['model' => 'openai-cut/m', 'messages' => says('x')]);
    [$text, $error] = ['', null];
    foreach ($chunks as $chunk) {
        $error = $chunk['error'] ?? $error;
        $text .= $chunk['choices'][0]['delta']['content'] ?? '';
    }
    tell('cut', $done ? 'no error' : ['status' => null, 'code' => $error['code'], 'param' => $error['param'] ?? null]);
    tell('cut text', $text);
}

function checkHangUp(): void
{
    $body = ['model' => 'openai-hang/m', 'messages' => says('x'), 'stream' => true];
    call('chat/completions', $body, [], function (string $bytes): int {
        if (preg_match('/"content":"([^"]+)"/', $bytes, $found)) {
            tell('hang up', $found[1]);
            return 0; // which ends the transfer
        }
        return strlen($bytes);
    });
}

foreach (['checkChat', 'checkStream', 'checkTools', 'checkStreamedCall', 'checkStructured'] as $check) {
    foreach (UPSTREAMS as $upstream) {
        $check($upstream);
    }
}
foreach (['openai', 'gemini', 'sandbox'] as $upstream) {
    checkEmbeddings($upstream);
}
foreach (['checkModels', 'checkRoute', 'checkPin', 'checkLabel', 'checkErrors', 'checkCut', 'checkHangUp'] as $check) {
    $check();
}
