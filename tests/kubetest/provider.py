#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A stand-in for model providers: Anthropic Messages, OpenAI Chat Completions and OpenAI Responses, streamed or not.

    provider.py [--listen 127.0.0.1:18080] [--key KEY] [--tls-cert FILE --tls-key FILE] [--port-file FILE]

One file, Debian's Python and nothing else, so that it also runs in a pod (kubetest/provider_pod.py). It does what the
last user text says, by words in double brackets, and answers "OK from the stand-in" where there are none:

    [[say: TEXT]]             answer TEXT
    [[shell: COMMAND]]        call the shell tool, whatever it is called, then answer with its result
    [[tool: NAME {JSON}]]     call the tool whose name contains NAME; several calls are made one after another
    [[slow: CHUNKS SECONDS]]  stream an answer of so many words, waiting that long before each
    [[big: BYTES]]            answer so many bytes
    [[echo]]                  answer with the length and SHA-256 of the user text
    [[fail: STATUS COUNT]]    an error of this status, COUNT times (without a count: always); 429 has Retry-After: 1
    [[cut]]                   close the connection in the middle of the answer
    [[malformed]]             an answer that is not JSON, and that ends too early
    [[hang]]                  never answer

A model's name works too: stand-in-fail-429, stand-in-cut, stand-in-malformed, stand-in-hang. After a tool's result the
answer is "the tool said: RESULT". Each model call reports USAGE (below), so that what a client adds up can be checked.

With --key, a request without exactly this key gets 401. What came is kept for tests: GET /requests is a list of
{n, method, path, query, headers, key: {header, matches}, body, status, finished}, where values of headers with keys are
replaced by whether they matched; DELETE /requests empties it. GET /healthz answers 200.
"""
import argparse
import asyncio
import hashlib
import json
import os
import re
import signal
import ssl
import sys
import time
import uuid

MAX_BODY = 64 << 20
MAX_KEPT = 500
MAX_KEPT_BODY = 4 << 20
# Different numbers, so that no two can be mixed up. OpenAI's input counts include what came from the cache.
USAGE = {"input": 1000, "output": 70, "cache_read": 300, "cache_write": 20}
KEY_HEADERS = ("x-api-key", "authorization", "api-key", "x-goog-api-key")
SHELLS = ("bash", "shell", "shell_command", "exec_command", "local_shell", "run_commands", "execute_command", "exec")
ERRORS = {400: "invalid_request_error", 401: "authentication_error", 403: "permission_error", 404: "not_found_error",
          429: "rate_limit_error", 529: "overloaded_error"}
REMINDER = re.compile(r"\s*<system-reminder>.*?</system-reminder>", re.DOTALL)  # what claude adds to results by itself
PLAIN = "OK from the stand-in"


def identity(prefix):
    return prefix + uuid.uuid4().hex[:24]


# ---- what was asked, the same for all three shapes
def text_of(content):
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(text_of(part) for part in content)
    if isinstance(content, dict):
        for name in ("text", "output", "content"):
            if name in content:
                return text_of(content[name])
    return "" if content is None else json.dumps(content)


class Asked:
    """A model call: the last user text, and the tool results since."""

    def __init__(self, body):
        self.body = body
        self.model = str(body.get("model", ""))
        self.stream = bool(body.get("stream"))
        self.text = ""
        self.results = []
        self.tools = []  # {name, namespace, kind, schema}

    def said(self, text):
        if text.strip():
            self.text, self.results = text, []


def asked_messages(body):
    asked = Asked(body)
    for message in body.get("messages", []):
        if message.get("role") != "user":
            continue
        content = message.get("content")
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content or []
        results = [part for part in parts if part.get("type") == "tool_result"]
        # Claude Code adds notes of its own beside what the user wrote
        texts = [part["text"] for part in parts
                 if part.get("type") == "text" and not part["text"].lstrip().startswith("<system-reminder>")]
        if results:
            asked.results += [REMINDER.sub("", text_of(part.get("content"))) for part in results]
        elif texts:
            asked.said("\n".join(texts))
    asked.tools = [{"name": tool.get("name", ""), "schema": tool.get("input_schema")} for tool in body.get("tools") or []]
    return asked


def asked_chat(body):
    asked = Asked(body)
    for message in body.get("messages", []):
        if message.get("role") == "user":
            asked.said(text_of(message.get("content")))
        elif message.get("role") == "tool":
            asked.results.append(text_of(message.get("content")))
    for tool in body.get("tools") or []:
        function = tool.get("function") or tool
        asked.tools.append({"name": function.get("name", ""), "schema": function.get("parameters")})
    return asked


def asked_responses(body):
    asked = Asked(body)
    items = body.get("input")
    for item in [{"role": "user", "content": items}] if isinstance(items, str) else items or []:
        if item.get("role") == "user":
            text = text_of(item.get("content"))
            if not re.match(r"\s*<(environment_context|user_instructions|skills_instructions|permissions)", text):
                asked.said(text)
        elif str(item.get("type", "")).endswith("_output"):
            asked.results.append(text_of(item.get("output")))
        if item.get("type") == "additional_tools":  # newer models of OpenAI's are told of their tools in the input
            add_response_tools(asked, item.get("tools"))
    add_response_tools(asked, body.get("tools"))
    return asked


def add_response_tools(asked, tools, namespace=None):
    for tool in tools or []:
        if tool.get("type") == "namespace":
            add_response_tools(asked, tool.get("tools"), tool["name"])
        else:
            asked.tools.append({"name": tool.get("name") or tool.get("type", ""), "kind": tool.get("type"),
                                "schema": tool.get("parameters"), "namespace": namespace})


# ---- what is done about it
class Plan:
    def __init__(self, text="", tool=None, arguments=None, chunks=None, delay=0.0):
        self.text, self.tool, self.arguments, self.chunks, self.delay = text, tool, arguments, chunks, delay

    def pieces(self):
        if self.chunks is not None:
            return self.chunks
        size = 8 if len(self.text) < 10000 else 65536
        return [self.text[at:at + size] for at in range(0, len(self.text), size)] or [""]


def directives(text):
    return re.findall(r"\[\[(\w+)(?::\s*(.*?))?\s*\]\]", text, re.DOTALL)


def shell_arguments(tool, command):
    properties = (tool.get("schema") or {}).get("properties") or {}
    if tool.get("kind") == "custom":  # Codex' code mode: JavaScript that calls tools
        return f"const r = await tools.exec_command({{cmd: {json.dumps(command)}}}); text(JSON.stringify(r));"
    if "commands" in properties:
        return {"commands": [command]}
    if "cmd" in properties:
        return {"cmd": command}
    if (properties.get("command") or {}).get("type") == "array":
        return {"command": ["bash", "-c", command]}
    return {"command": command, "description": "what the test wants"}


def tool_call(asked, kind, value):
    """(tool, arguments) of one [[shell: ...]] or [[tool: ...]], or None."""
    if kind == "shell":
        found = next((tool for tool in asked.tools if tool["name"].lower() in SHELLS), None)
        return found and (found, shell_arguments(found, value))
    name, _, arguments = value.partition(" ")
    arguments = json.loads(arguments or "{}")
    found = next((tool for tool in asked.tools if name in tool["name"]), None)
    if found:
        return found, arguments
    code = next((tool for tool in asked.tools if tool.get("kind") == "custom" and tool["name"] == "exec"), None)
    if code:
        return code, (f"const t = ALL_TOOLS.find(t => t.name.includes({json.dumps(name)})); "
                      f"const r = await tools[t.name]({json.dumps(arguments)}); text(JSON.stringify(r));")
    return None


def decide(asked):
    calls = [(kind, value) for kind, value in directives(asked.text) if kind in ("shell", "tool")]
    if len(asked.results) < len(calls):
        kind, value = calls[len(asked.results)]
        call = tool_call(asked, kind, value)
        if call:
            return Plan(tool=call[0], arguments=call[1])
        names = ", ".join(f"{tool.get('namespace', '')}/{tool['name']}".lstrip("/") for tool in asked.tools)
        return Plan(f"there is no such tool among: {names}")
    if asked.results:
        return Plan(f"the tool said: {asked.results[-1][:4000]}")
    words = dict(directives(asked.text))
    if "slow" in words:
        count, seconds = words["slow"].split()
        return Plan(chunks=[f"word{n} " for n in range(1, int(count) + 1)], delay=float(seconds))
    if "big" in words:
        line = "0123456789abcdef" * 4 + "\n"
        return Plan((line * (int(words["big"]) // len(line) + 1))[:int(words["big"])])
    if "echo" in words:
        data = asked.text.encode()
        return Plan(f"{len(data)} {hashlib.sha256(data).hexdigest()}")
    return Plan(words.get("say", PLAIN))


def trouble(asked):
    """(kind, value) of what has to go wrong, or None."""
    for kind, value in directives(asked.text):
        if kind in ("fail", "cut", "malformed", "hang"):
            return kind, value
    match = re.match(r"stand-in-(fail|cut|malformed|hang)(?:-(\d+))?", asked.model)
    return match and (match.group(1), match.group(2) or "")


# ---- answers. Each writer is (call, asked, plan, middle): middle() is called half-way through a stream
async def write_messages(call, asked, plan, middle):
    usage = {"input_tokens": USAGE["input"], "cache_read_input_tokens": USAGE["cache_read"],
             "cache_creation_input_tokens": USAGE["cache_write"], "output_tokens": USAGE["output"]}
    if plan.tool:
        block = {"type": "tool_use", "id": identity("toolu_"), "name": plan.tool["name"], "input": plan.arguments}
    else:
        block = {"type": "text", "text": plan.text}
    message = {"id": identity("msg_"), "type": "message", "role": "assistant", "model": asked.model, "content": [block],
               "stop_reason": "tool_use" if plan.tool else "end_turn", "stop_sequence": None, "usage": usage}
    if not asked.stream:
        return await call.answer(200, message, {"request-id": identity("req_")})
    await call.stream({"request-id": identity("req_")})

    async def event(kind, **data):
        await call.write(f"event: {kind}\ndata: {json.dumps({'type': kind, **data})}\n\n")

    await event("message_start", message={**message, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}})
    await event("ping")
    await event("content_block_start", index=0, content_block={**block, "input": {}} if plan.tool else {"type": "text", "text": ""})
    await middle()
    if plan.tool:
        await event("content_block_delta", index=0, delta={"type": "input_json_delta", "partial_json": json.dumps(plan.arguments)})
    else:
        for piece in plan.pieces():
            await asyncio.sleep(plan.delay)
            await event("content_block_delta", index=0, delta={"type": "text_delta", "text": piece})
    await event("content_block_stop", index=0)
    await event("message_delta", delta={"stop_reason": message["stop_reason"], "stop_sequence": None},
                usage={"output_tokens": USAGE["output"]})
    await event("message_stop")
    await call.end()


async def write_chat(call, asked, plan, middle):
    whole = USAGE["input"] + USAGE["cache_read"]
    usage = {"prompt_tokens": whole, "completion_tokens": USAGE["output"], "total_tokens": whole + USAGE["output"],
             "prompt_tokens_details": {"cached_tokens": USAGE["cache_read"]}}
    common = {"id": identity("chatcmpl-"), "created": int(time.time()), "model": asked.model}
    finish, calls = ("tool_calls" if plan.tool else "stop"), None
    if plan.tool:
        calls = [{"id": identity("call_"), "type": "function",
                  "function": {"name": plan.tool["name"], "arguments": json.dumps(plan.arguments)}}]
    if not asked.stream:
        message = {"role": "assistant", "content": None, "tool_calls": calls} if calls else {"role": "assistant", "content": plan.text}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
        return await call.answer(200, {**common, "object": "chat.completion", "choices": [choice], "usage": usage})
    await call.stream()

    async def chunk(delta, finish=None, **more):
        choices = [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}] if delta is not None else []
        await call.write(f"data: {json.dumps({**common, 'object': 'chat.completion.chunk', 'choices': choices, **more})}\n\n")

    await chunk({"role": "assistant", "content": None if calls else ""})
    await middle()
    if calls:
        await chunk({"tool_calls": [{"index": 0, **calls[0]}]})
    else:
        for piece in plan.pieces():
            await asyncio.sleep(plan.delay)
            await chunk({"content": piece})
    await chunk({}, finish)
    if (asked.body.get("stream_options") or {}).get("include_usage"):
        await chunk(None, usage=usage)
    await call.write("data: [DONE]\n\n")
    await call.end()


def response_item(plan):
    """(the finished output item, the same as it begins)"""
    if not plan.tool:
        item = {"type": "message", "id": identity("msg_"), "role": "assistant", "status": "completed",
                "content": [{"type": "output_text", "text": plan.text or "".join(plan.pieces()), "annotations": [], "logprobs": []}]}
        return item, {**item, "status": "in_progress", "content": []}
    call = {"id": identity("fc_"), "call_id": identity("call_"), "name": plan.tool["name"], "status": "completed"}
    if plan.tool.get("namespace"):
        call["namespace"] = plan.tool["namespace"]
    if plan.tool.get("kind") == "custom":
        item = {"type": "custom_tool_call", "input": plan.arguments, **call}
        return item, {**item, "input": "", "status": "in_progress"}
    item = {"type": "function_call", "arguments": json.dumps(plan.arguments), **call}
    return item, {**item, "arguments": "", "status": "in_progress"}


async def write_responses(call, asked, plan, middle):
    whole = USAGE["input"] + USAGE["cache_read"]
    usage = {"input_tokens": whole, "input_tokens_details": {"cached_tokens": USAGE["cache_read"]},
             "output_tokens": USAGE["output"], "output_tokens_details": {"reasoning_tokens": 0},
             "total_tokens": whole + USAGE["output"]}
    name, item, number = identity("resp_"), response_item(plan), 0

    def response(status, output, usage=None):
        return {"id": name, "object": "response", "created_at": int(time.time()), "status": status, "model": asked.model,
                "output": output, "error": None, "incomplete_details": None, "instructions": None, "metadata": {},
                "parallel_tool_calls": True, "tools": [], "tool_choice": "auto", "usage": usage}

    if not asked.stream:
        return await call.answer(200, response("completed", [item[0]], usage))
    await call.stream({"x-request-id": identity("req_")})

    async def event(kind, **data):
        nonlocal number
        await call.write(f"event: {kind}\ndata: {json.dumps({'type': kind, 'sequence_number': number, **data})}\n\n")
        number += 1

    where = {"item_id": item[0]["id"], "output_index": 0}
    await event("response.created", response=response("in_progress", []))
    await event("response.in_progress", response=response("in_progress", []))
    await event("response.output_item.added", output_index=0, item=item[1])
    await middle()
    if item[0]["type"] == "message":
        part = item[0]["content"][0]
        await event("response.content_part.added", content_index=0, part={**part, "text": ""}, **where)
        for piece in plan.pieces():
            await asyncio.sleep(plan.delay)
            await event("response.output_text.delta", content_index=0, delta=piece, logprobs=[], **where)
        await event("response.output_text.done", content_index=0, text=part["text"], logprobs=[], **where)
        await event("response.content_part.done", content_index=0, part=part, **where)
    elif item[0]["type"] == "function_call":
        await event("response.function_call_arguments.delta", delta=item[0]["arguments"], **where)
        await event("response.function_call_arguments.done", arguments=item[0]["arguments"], **where)
    else:
        await event("response.custom_tool_call_input.delta", delta=item[0]["input"], **where)
        await event("response.custom_tool_call_input.done", input=item[0]["input"], **where)
    await event("response.output_item.done", output_index=0, item=item[0])
    await event("response.completed", response=response("completed", [item[0]], usage))
    await call.end()


SHAPES = {"/messages": (asked_messages, write_messages), "/chat/completions": (asked_chat, write_chat),
          "/responses": (asked_responses, write_responses)}


# ---- HTTP
class Cut(Exception):
    """The connection is closed without an end of what it carried."""


class Broken(Exception):
    """What was sent makes no sense, and is all that is sent."""


class Call:
    """One request, and the writing of its answer."""

    def __init__(self, writer, method, target, headers, body):
        self.writer, self.method, self.headers, self.body = writer, method, headers, body
        self.path, _, self.query = target.partition("?")
        self.status, self.finished = None, False
        self.spoil = None  # "cut" or "malformed": what happens to an answer that is not streamed

    async def head(self, status, headers):
        self.status = status
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self.writer.write(f"HTTP/1.1 {status} Stand-in\r\n{lines}\r\n".encode())

    async def answer(self, status, value, headers=None):
        data = json.dumps(value).encode()
        if self.spoil == "malformed":
            data = data[:len(data) // 2]
        await self.head(status, {"content-type": "application/json", "content-length": len(data), **(headers or {})})
        if self.spoil == "cut":
            self.writer.write(data[:len(data) // 2])
            raise Cut
        self.writer.write(b"" if self.method == "HEAD" else data)
        await self.writer.drain()
        self.finished = True

    async def stream(self, headers=None):
        await self.head(200, {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache",
                              "transfer-encoding": "chunked", **(headers or {})})

    async def write(self, text):
        data = text.encode()
        self.writer.write(b"%x\r\n%s\r\n" % (len(data), data))
        await self.writer.drain()

    async def end(self):
        self.writer.write(b"0\r\n\r\n")
        await self.writer.drain()
        self.finished = True

    async def error(self, status, message, headers=None):
        if self.path.endswith("/messages"):
            body = {"type": "error", "error": {"type": ERRORS.get(status, "api_error"), "message": message}}
        else:
            body = {"error": {"message": message, "type": ERRORS.get(status, "server_error"), "param": None, "code": str(status)}}
        await self.answer(status, body, headers)


async def read_request(reader):
    """(method, target, headers, body) or None at the end of the connection."""
    line = await reader.readline()
    if not line.strip():
        return None
    method, target, _ = line.decode("latin-1").split(" ", 2)
    headers = {}
    while (line := await reader.readline()).strip():
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    body = b""
    if headers.get("transfer-encoding", "").lower() == "chunked":
        while size := int((await reader.readline()).split(b";")[0], 16):
            body += await reader.readexactly(size)
            await reader.readline()
        await reader.readline()
    elif "content-length" in headers:
        body = await reader.readexactly(min(int(headers["content-length"]), MAX_BODY))
    return method, target, headers, body


class Provider:
    def __init__(self, key):
        self.key = key
        self.requests, self.seen, self.failures = [], 0, {}

    def check_key(self, headers):
        """What /requests says about the key: never the key itself."""
        for name in KEY_HEADERS:
            if name in headers:
                value = re.sub(r"^Bearer ", "", headers[name], flags=re.IGNORECASE)
                return {"header": name, "bearer": value != headers[name], "matches": value == self.key if self.key else None}
        return None

    def keep(self, call):
        self.seen += 1
        try:
            body = json.loads(call.body) if len(call.body) <= MAX_KEPT_BODY else {"bytes": len(call.body)}
        except ValueError:
            body = {"bytes": len(call.body)} if call.body else None
        shown = {name: "(a key)" if name in KEY_HEADERS else value for name, value in call.headers.items()}
        call.kept = {"n": self.seen, "method": call.method, "path": call.path, "query": call.query, "headers": shown,
                     "key": self.check_key(call.headers), "body": body, "status": None, "finished": False}
        self.requests = [*self.requests[-MAX_KEPT + 1:], call.kept]

    async def control(self, call):
        """Tests' own requests. True if it was one."""
        if call.path == "/healthz":
            await call.answer(200, {"ok": True})
        elif call.path == "/requests" and call.method == "DELETE":
            self.requests, self.failures = [], {}
            await call.answer(200, {})
        elif call.path == "/requests":
            await call.answer(200, self.requests)
        else:
            return False
        return True

    async def go_wrong(self, call, asked, what):
        """Errors before the stream. True if the request is answered."""
        kind, value = what
        if kind == "hang":
            await asyncio.sleep(3600)
        if kind != "fail":
            return False
        status, _, count = value.partition(" ")
        done = self.failures.get(asked.text, 0)
        if count and done >= int(count):
            return False
        self.failures[asked.text] = done + 1
        await call.error(int(status), "the test wants this error", {"retry-after": "1"} if status == "429" else None)
        return True

    async def model_call(self, call, shape):
        try:
            body = json.loads(call.body)
        except ValueError:
            return await call.error(400, "the body is not JSON")
        asked = shape[0](body)
        what = trouble(asked)

        async def middle():
            if what and what[0] == "cut":
                raise Cut
            if what and what[0] == "malformed":
                await call.write("event: content_block_delta\ndata: {\"type\": \"content_block_delta\", \"index\": ]]\n\n")
                raise Broken

        if what and await self.go_wrong(call, asked, what):
            return
        call.spoil = what[0] if what and what[0] in ("cut", "malformed") else None
        try:
            await shape[1](call, asked, decide(asked), middle)
        except Broken:
            await call.end()

    async def serve(self, call):
        if await self.control(call):
            return
        self.keep(call)
        try:
            shape = next((SHAPES[end] for end in SHAPES if call.path.endswith(end)), None)
            if self.key and not (call.kept["key"] and call.kept["key"]["matches"]):
                await call.error(401, "this is not the key")
            elif call.method == "POST" and shape:
                await self.model_call(call, shape)
            elif call.path.endswith("/models"):
                model = {"id": "stand-in", "object": "model", "type": "model", "display_name": "stand-in", "owned_by": "tests",
                         "created": 0, "created_at": "2026-01-01T00:00:00Z"}
                await call.answer(200, {"object": "list", "data": [model], "has_more": False})
            elif call.path.endswith("/count_tokens"):
                await call.answer(200, {"input_tokens": len(call.body) // 4})
            else:
                await call.error(404, f"the stand-in has no {call.method} {call.path}")
        finally:
            call.kept["status"], call.kept["finished"] = call.status, call.finished

    async def connection(self, reader, writer):
        try:
            while request := await read_request(reader):
                call = Call(writer, *request)
                await self.serve(call)
                if "close" in call.headers.get("connection", "").lower():
                    break
        except Cut:
            await writer.drain()
            writer.transport.abort()
        except (ConnectionError, asyncio.IncompleteReadError, ValueError, ssl.SSLError):
            pass
        finally:
            writer.close()


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--listen", default="127.0.0.1:18080", help="address and port; port 0 takes a free one")
    parser.add_argument("--key", default=os.environ.get("STAND_IN_KEY", ""),
                        help="the only key that is taken (default: $STAND_IN_KEY); without it any is")
    parser.add_argument("--tls-cert", help="PEM; with it the stand-in speaks TLS")
    parser.add_argument("--tls-key")
    parser.add_argument("--port-file", help="where the port is written when it is open")
    return parser.parse_args()


async def main():
    args = arguments()
    host, _, port = args.listen.rpartition(":")
    tls = None
    if args.tls_cert:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(args.tls_cert, args.tls_key)
    provider = Provider(args.key)
    server = await asyncio.start_server(provider.connection, host.strip("[]") or None, int(port), limit=1 << 20, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    if args.port_file:
        with open(args.port_file, "w", encoding="ascii") as file:
            file.write(f"{port}\n")
    print(f"the stand-in listens on port {port}", file=sys.stderr, flush=True)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()


if __name__ == "__main__":
    asyncio.run(main())
