#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A small MCP server (streamable HTTP, sessions) with the tools echo and refuse, for real clients to call.

    mcp_server.py --port-file FILE [--listen 127.0.0.1:0]

GET /requests lists the JSON-RPC messages that came, with the user agent of whoever sent them.
"""
import argparse
import http.server
import json
import sys
import uuid

VERSIONS = ("2025-03-26", "2025-06-18", "2025-11-25")
TEXT = {"type": "object", "properties": {"message": {"type": "string"}}, "required": ["message"]}
TOOLS = [{"name": "echo", "description": "Says what it is told.", "inputSchema": TEXT},
         {"name": "refuse", "description": "Always fails.", "inputSchema": TEXT}]
SEEN = []


def call_tool(params):
    text = (params.get("arguments") or {}).get("message", "")
    if params.get("name") == "echo":
        return {"content": [{"type": "text", "text": f"echo: {text}"}]}
    return {"content": [{"type": "text", "text": f"refused: {text}"}], "isError": True}


def answer(message):
    """The result of a request, or None if there is no such method."""
    method, params = message.get("method"), message.get("params") or {}
    if method == "initialize":
        wanted = params.get("protocolVersion")
        return {"protocolVersion": wanted if wanted in VERSIONS else VERSIONS[-1], "capabilities": {"tools": {}},
                "serverInfo": {"name": "test", "version": "1"}}
    if method == "tools/call":
        return call_tool(params)
    return {"tools/list": {"tools": TOOLS}, "ping": {}, "prompts/list": {"prompts": []},
            "resources/list": {"resources": []}}.get(method)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def reply(self, status, value=None, **headers):
        data = b"" if value is None else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        for name, text in headers.items():
            self.send_header(name.replace("_", "-"), text)
        self.end_headers()
        self.wfile.write(data)

    def do_POST(self):
        message = json.loads(self.rfile.read(int(self.headers["content-length"])))
        SEEN.append({"agent": self.headers.get("user-agent"), "message": message})
        if "id" not in message or "method" not in message:
            return self.reply(202)
        result = answer(message)
        base = {"jsonrpc": "2.0", "id": message["id"]}
        if result is None:
            return self.reply(404, {**base, "error": {"code": -32601, "message": "no such method"}})
        session = {"Mcp_Session_Id": uuid.uuid4().hex} if message["method"] == "initialize" else {}
        return self.reply(200, {**base, "result": result}, **session)

    def do_GET(self):
        if self.path == "/requests":
            return self.reply(200, SEEN)
        return self.reply(405)  # no stream of the server's own messages

    def do_DELETE(self):
        self.reply(200)

    def log_message(self, *_):
        pass


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--listen", default="127.0.0.1:0")
    parser.add_argument("--port-file", required=True)
    args = parser.parse_args()
    host, _, port = args.listen.rpartition(":")
    server = http.server.ThreadingHTTPServer((host, int(port)), Handler)
    with open(args.port_file, "w", encoding="ascii") as file:
        file.write(f"{server.server_address[1]}\n")
    server.serve_forever()


if __name__ == "__main__":
    sys.exit(main())
