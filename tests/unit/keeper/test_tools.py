#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The keeper's tools: test_tools.py PATH-OF-KEEPER [TEST...]. Speaks TAP.

The keeper is the real program; the manager is a scripted server, because what is tested is what happens when it is
away, slow, or says no.
"""
import json
import os
import shutil
import sys
import threading
import unittest

import test_program as program
from test_program import DEADLINE, TOKEN, eventually

RUN = "run-7f3a"


def item(tool, operation, **more):
    return {"tool": tool, "operation": operation, "name": f"{tool}_{operation}", "title": operation.title(),
            "description": f"{operation} of {tool}", "readOnlyHint": operation == "query",
            "inputSchema": {"type": "object", "properties": {"sql": {"type": "string"}}}, **more}


class Manager:
    """GET the list, POST an operation: what each answers is set by the test."""

    def __init__(self):
        self.requests = []
        self.broken = []
        self.items = [item("shop", "query"), item("shop", "execute")]
        self.list_status = 200
        self.list_body = None
        self.answer_status = 200
        self.answer = {"sessionID": "s1", "class": "read", "rule": "spec.permissions", "rows": 2, "bytes": 9,
                       "milliseconds": 1, "result": {"columns": [{"name": "a", "type": "int4"}, {"name": "b"}],
                                                     "rows": [[1, "x"], [2, None]], "rowCount": 2, "truncated": False}}
        self.raw = None
        self.cut = False
        self.gate = None        # what POSTs wait for
        self.list_gate = None   # what GETs wait for

    def calls(self):
        return [r for r in self.requests if r[0] == "POST"]

    def lists(self):
        return [r for r in self.requests if r[0] == "GET"]

    def handle(self, h):
        body = h.body()
        self.requests.append((h.command, h.path, dict(h.headers.items()), body))
        if h.command == "GET":
            if self.list_gate:
                self.list_gate.wait(DEADLINE)
            text = self.list_body or json.dumps({"items": self.items, "resourceVersion": "1"}).encode()
            h.answer(self.list_status, text, ("Content-Type", "application/json"))
            return
        if self.gate:
            self.gate.wait(DEADLINE)
        text = self.raw or json.dumps(self.answer).encode()
        if self.cut:
            h.send_response(200)
            h.send_header("Content-Length", str(len(text) + 1))
            h.end_headers()
            h.wfile.write(text)
            h.close_connection = True
            return
        h.answer(self.answer_status, text, ("Content-Type", "application/json"))


class Tools(program.Case):
    def setUp(self):
        super().setUp()
        self.manager = Manager()
        self.server = program.Server(self.manager)
        self.port = self.server.port
        self.addCleanup(lambda: self.server.close())
        self.env["AGENTKUBE_MANAGER_URL"] = f"http://127.0.0.1:{self.port}"
        self.next_id = 0

    def start(self):
        self.keeper = program.Running(self)
        return self.keeper

    def rpc(self, method, params=None, **headers):
        self.next_id += 1
        message = {"jsonrpc": "2.0", "id": self.next_id, "method": method, "params": params or {}}
        response, body = self.keeper.call("POST", "/mcp", json.dumps(message), {
            "Content-Type": "application/json", "Accept": "application/json, text/event-stream",
            **{k.replace("_", "-"): v for k, v in headers.items()}})
        self.assertEqual(response.status, 200, body)
        body = json.loads(body)
        self.assertEqual(body["id"], self.next_id)
        self.session = response.headers.get("Mcp-Session-Id") or getattr(self, "session", None)
        return body

    def begin(self):
        body = self.rpc("initialize", {"protocolVersion": "2025-11-25", "capabilities": {},
                                       "clientInfo": {"name": "t", "version": "1"}})
        self.assertEqual(body["result"]["capabilities"], {"tools": {"listChanged": True}})

    def ask(self, method, params=None, **headers):
        return self.rpc(method, params, Mcp_Session_Id=self.session, **headers)

    def names(self):
        return [tool["name"] for tool in self.ask("tools/list")["result"]["tools"]]

    def call_tool(self, name="shop_query", arguments=None, **headers):
        return self.ask("tools/call", {"name": name, "arguments": arguments or {"sql": "select 1"}}, **headers)

    def text(self, *args, **kwargs):
        result = self.call_tool(*args, **kwargs)["result"]
        self.assertEqual([part["type"] for part in result["content"]], ["text"])
        return result.get("isError", False), result["content"][0]["text"]

    def test_tools_of_the_manager_are_listed_as_mcp_has_them(self):
        self.start()
        self.begin()
        tools = self.ask("tools/list")["result"]["tools"]
        self.assertEqual(tools[0], {
            "name": "shop_query", "title": "Query", "description": "query of shop",
            "inputSchema": {"type": "object", "properties": {"sql": {"type": "string"}}},
            "annotations": {"title": "Query", "readOnlyHint": True, "destructiveHint": False}})
        self.assertEqual(tools[1]["annotations"], {"title": "Execute", "readOnlyHint": False, "destructiveHint": True})
        request = self.manager.lists()[0]
        self.assertEqual(request[1], "/api/v1/self/tools")
        self.assertEqual(request[2]["Authorization"], f"Bearer {TOKEN}")

    def test_a_call_goes_there_with_the_token_and_comes_back_compact_and_structured(self):
        self.start()
        self.begin()
        result = self.call_tool(x_agentkube_run_id=RUN)["result"]
        self.assertFalse(result["isError"])
        self.assertEqual(result["content"][0]["text"],
                         '{"columns":["a","b"],"rows":[[1,"x"],[2,null]],"rowCount":2}')
        self.assertEqual(result["structuredContent"], self.manager.answer["result"])
        method, path, headers, body = self.manager.calls()[0]
        self.assertEqual((method, path), ("POST", "/api/v1/self/tools/shop/operations"))
        self.assertEqual(headers["Authorization"], f"Bearer {TOKEN}")
        self.assertEqual(json.loads(body), {"operation": "query", "arguments": {"sql": "select 1"}, "runID": RUN})
        self.assertNotIn(TOKEN, self.keeper.stderr)

    def test_a_list_is_fresh_when_it_is_asked_for(self):
        self.start()
        self.begin()
        self.assertEqual(self.names(), ["shop_query", "shop_execute"])
        self.manager.items = [item("shop", "query")]
        eventually(lambda: self.names() == ["shop_query"], "the list without what is gone")
        self.manager.items = []
        eventually(lambda: self.names() == [], "the empty list")

    def test_a_client_with_a_stream_is_told_of_a_change(self):
        self.start()
        self.begin()
        self.names()
        connection = self.keeper.connect()
        self.addCleanup(connection.close)
        connection.request("GET", "/mcp", None, {"Accept": "text/event-stream", "Mcp-Session-Id": self.session})
        stream = connection.getresponse()
        self.assertEqual(stream.status, 200)
        self.assertEqual(stream.readline(), b": open\n")
        self.manager.items = [item("other", "query")]
        eventually(lambda: self.names() == ["other_query"], "the new list")
        line = b""
        while not line.startswith(b"data:"):
            line = stream.readline()
        self.assertEqual(json.loads(line[5:]), {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"})

    def test_the_first_list_is_waited_for_by_lists_and_by_calls(self):
        self.manager.list_gate = threading.Event()
        self.addCleanup(self.manager.list_gate.set)
        self.start()
        eventually(self.manager.lists, "the keeper asks by itself")
        self.begin()
        got = {}
        threads = [threading.Thread(target=lambda: got.update(list=self.rpc_alone("tools/list", {}))),
                   threading.Thread(target=lambda: got.update(call=self.rpc_alone("tools/call", {
                       "name": "shop_query", "arguments": {"sql": "x"}})))]
        for thread in threads:
            thread.start()
        self.assertEqual(got, {})
        eventually(lambda: 'agentkube_keeper_open_requests{door="mcp"} 2' in self.keeper.probe("/metrics")[1],
                   "both wait")
        self.assertEqual(len(self.manager.lists()), 1)
        self.manager.list_gate.set()
        for thread in threads:
            thread.join(DEADLINE)
        self.assertEqual([t["name"] for t in got["list"]["result"]["tools"]], ["shop_query", "shop_execute"])
        self.assertFalse(got["call"]["result"]["isError"])

    def rpc_alone(self, method, params):
        message = json.dumps({"jsonrpc": "2.0", "id": method, "method": method, "params": params})
        _, body = self.keeper.call("POST", "/mcp", message, {
            "Content-Type": "application/json", "Accept": "application/json", "Mcp-Session-Id": self.session})
        return json.loads(body)

    def test_a_slow_list_gives_way_to_the_last_one(self):
        self.start()
        self.begin()
        self.assertEqual(len(self.names()), 2)
        self.manager.list_gate = threading.Event()
        self.addCleanup(self.manager.list_gate.set)
        self.manager.items = []
        eventually(lambda: self.keeper.lines("the manager does not say which tools there are, the last list is used")
                   or not self.assertEqual(len(self.names()), 2), "it is given up")
        self.assertEqual(len(self.names()), 2)

    def test_an_unknown_tool_is_an_error_of_the_protocol_or_of_the_call(self):
        self.start()
        self.begin()
        self.names()
        body = self.call_tool("nonsense")
        if "error" in body:
            self.assertEqual((body["error"]["code"], body["error"]["message"]), (-32602, "unknown tool"))
        else:
            self.assertEqual(body["result"]["content"][0]["text"], "there is no such tool")
        self.assertEqual(self.manager.calls(), [])

    def test_what_the_manager_refuses_is_said_to_the_model(self):
        self.start()
        self.begin()
        self.names()
        for status, body, words in (
                (403, {"message": "spec.permissions.grants: no grant lists DELETE"},
                 "spec.permissions.grants: no grant lists DELETE"),
                (422, {"message": 'relation "x" does not exist', "details": {"code": "42P01"}},
                 'relation "x" does not exist (42P01)'),
                (428, {"message": "waits for approval a1; call again with the same arguments"},
                 "waits for approval a1; call again with the same arguments"),
                (429, {}, "too many calls are under way; try again in a moment"),
                (401, None, "the manager does not know this agent's token"),
                (403, None, "this is not allowed"),
                (404, None, "there is no such tool any more"),
                (413, None, "the arguments are too large"),
                (503, None, "the tool cannot be used at the moment; try again later"),
                (400, None, "the call was refused")):
            self.manager.answer_status = status
            self.manager.raw = b"<html>no" if body is None else json.dumps(body).encode()
            self.assertEqual(self.text(), (True, words))
        self.manager.answer_status = 200
        self.manager.raw = b"not json"
        self.assertEqual(self.text(), (True, "the manager's answer makes no sense"))

    def test_a_manager_that_is_away_leaves_the_list_and_answers_calls_with_words(self):
        self.start()
        self.begin()
        self.assertEqual(len(self.names()), 2)
        self.server.close()
        self.assertEqual(self.text(), (True, "the manager gives no answer at the moment; try again later"))
        eventually(lambda: len(self.names()) == 2 and self.keeper.lines(
            "the manager does not say which tools there are, the last list is used"), "the last list, and a line")
        self.server = program.Server(self.manager, port=self.port)
        eventually(lambda: self.names() and self.keeper.lines("the manager says again which tools there are"),
                   "it is back")
        self.assertFalse(self.text()[0])

    def test_without_a_manager_from_the_beginning_there_is_nothing_and_then_everything(self):
        self.server.close()
        self.start()
        self.begin()
        self.assertEqual(self.names(), [])
        error, words = self.text() if "result" in (body := self.call_tool()) else (True, body["error"]["message"])
        self.assertTrue(error)
        self.assertIn(words, ("unknown tool", "the manager gives no answer at the moment; try again later"))
        self.server = program.Server(self.manager, port=self.port)
        eventually(lambda: len(self.names()) == 2, "the list")

    def test_a_refused_or_senseless_list_changes_nothing(self):
        self.start()
        self.begin()
        self.assertEqual(len(self.names()), 2)
        for status, body in ((401, b"{}"), (403, b"{}"), (500, b""), (200, b"[]"), (200, b"{"), (200, b'{"items":[{}]}'),
                             (200, json.dumps({"items": [item("a", "b")] * 513}).encode()),
                             (200, b'{"items":["' + b"x" * (1 << 20) + b'"]}')):
            self.manager.list_status, self.manager.list_body = status, body
            before = len(self.manager.lists())
            eventually(lambda: self.names() and len(self.manager.lists()) > before, "it has asked again")
            self.assertEqual(self.names(), ["shop_query", "shop_execute"], (status, body[:40]))
        self.assertEqual(len(self.keeper.lines("the manager does not say which tools there are, the last list is used")), 1)

    def test_an_answer_that_breaks_off_is_not_asked_for_again(self):
        self.start()
        self.begin()
        self.names()
        self.manager.cut = True
        self.assertEqual(self.text(), (True, "the answer broke off; whether it was done is not known"))
        self.assertEqual(len(self.manager.calls()), 1)

    def test_a_manager_that_dies_in_a_call_is_said(self):
        self.start()
        self.begin()
        self.names()
        self.manager.gate = threading.Event()
        self.addCleanup(self.manager.gate.set)
        got = []
        thread = threading.Thread(target=lambda: got.append(self.rpc_alone("tools/call", {"name": "shop_query"})))
        thread.start()
        eventually(self.manager.calls, "the call arrives")
        self.server.close()
        thread.join(DEADLINE)
        self.assertTrue(got[0]["result"]["isError"])
        self.assertEqual(len(self.manager.calls()), 1)

    def test_a_client_that_goes_ends_its_call(self):
        self.start()
        self.begin()
        self.names()
        self.manager.gate = threading.Event()
        self.addCleanup(self.manager.gate.set)
        connection = self.keeper.connect()
        connection.request("POST", "/mcp", json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
            "name": "shop_query"}}), {"Content-Type": "application/json", "Mcp-Session-Id": self.session})
        eventually(self.manager.calls, "the call arrives")
        connection.close()
        eventually(lambda: [line for line in self.keeper.lines("tool call") if line["verdict"] == "cancelled"],
                   "it is cancelled")
        self.manager.gate.set()
        self.manager.gate = None
        self.assertFalse(self.text()[0])

    def test_a_huge_result_is_cut_and_says_so(self):
        self.start()
        self.begin()
        self.names()
        self.manager.answer = {"result": {"columns": [{"name": "a"}], "rows": [["x" * 1000]] * 4000}}
        error, text = self.text()
        rows = json.loads(text)
        self.assertFalse(error)
        self.assertLessEqual(len(text), 1 << 20)
        self.assertTrue(rows["truncated"])
        self.assertEqual(rows["rowCount"], len(rows["rows"]))
        self.assertGreater(rows["rowCount"], 1000)
        self.manager.answer = {"result": {"text": "ä" * 600000, "exitCode": 0}}
        error, text = self.text()
        self.assertTrue(text.endswith("ä\n[cut: there was more output than this]"))
        self.manager.raw = b'{"result":{"text":"' + b"x" * (10 << 20) + b'"}}'
        self.assertEqual(self.text(), (True, "the result is larger than 8 MiB; ask for less"))
        self.manager.raw = None
        self.manager.answer = {"result": {"text": "fine", "exitCode": 0}}
        self.assertEqual(self.text(), (False, "fine"))

    def test_a_program_that_failed_and_a_refused_request_are_errors(self):
        self.start()
        self.begin()
        self.names()
        self.manager.answer = {"result": {"text": "no such file", "exitCode": 2}}
        self.assertEqual(self.text(), (True, "no such file\n[exit code 2]"))
        self.manager.answer = {"result": {"status": 404, "headers": {}, "body": "x"}}
        self.assertEqual(self.text(), (True, '{"status":404,"headers":{},"body":"x"}'))
        self.manager.answer = {"result": {"status": 204, "headers": {}, "body": ""}}
        self.assertFalse(self.text()[0])
        self.manager.answer = {"result": None}
        self.assertEqual(self.text(), (False, "null"))

    def test_a_new_token_is_used_at_once_and_a_missing_one_is_said(self):
        self.start()
        self.begin()
        self.names()
        program.write(self.token, "canary-token-second")
        self.text()
        self.assertEqual(self.manager.calls()[-1][2]["Authorization"], "Bearer canary-token-second")
        os.unlink(self.token)
        error, text = self.text()
        self.assertTrue(error)
        self.assertNotIn("canary", text + self.keeper.stderr)

    def test_many_calls_at_once_are_all_answered(self):
        self.start()
        self.begin()
        self.names()
        got = []
        threads = [threading.Thread(target=lambda: got.append(self.rpc_alone("tools/call", {"name": "shop_query"})))
                   for _ in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(DEADLINE)
        self.assertEqual(len(got), 40)
        self.assertTrue(all(not body["result"]["isError"] for body in got))

    def test_it_ends_in_the_middle_of_everything(self):
        self.manager.list_gate = threading.Event()
        self.manager.gate = threading.Event()
        self.addCleanup(self.manager.gate.set)
        self.addCleanup(self.manager.list_gate.set)
        self.start()
        eventually(self.manager.lists, "the question")
        self.manager.list_gate.set()
        self.begin()
        self.names()
        thread = threading.Thread(target=lambda: self.assertRaises(
            Exception, self.rpc_alone, "tools/call", {"name": "shop_query"}))
        thread.start()
        eventually(self.manager.calls, "the call")
        self.assertEqual(self.keeper.stop(), 0)
        thread.join(DEADLINE)


def main():
    program.KEEPER = os.path.abspath(sys.argv[1])
    module = sys.modules[__name__]
    loader = unittest.defaultTestLoader
    suite = (loader.loadTestsFromNames(sys.argv[2:], module) if sys.argv[2:]
             else loader.loadTestsFromTestCase(Tools))
    result = program.Tap()
    program.Pki.make()
    try:
        suite.run(result)
    finally:
        shutil.rmtree(program.Pki.dir)
    print(f"1..{result.count}")
    sys.exit(0 if result.wasSuccessful() else 1)


main()
