# SPDX-License-Identifier: Apache-2.0
"""The API server over plain HTTPS: for the many small requests for which starting kubectl would be slow."""
import base64
import json
import os
import ssl
import tempfile
import urllib.error
import urllib.request

import yaml

PATCH_TYPES = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}


def find(items, name):
    return next(item for item in items if item["name"] == name)


def value(entry, key, folder):
    """A field of a kubeconfig that is either inline (KEY-data, base64) or a file."""
    if entry.get(key + "-data"):
        return base64.b64decode(entry[key + "-data"]).decode()
    if entry.get(key):
        with open(os.path.join(folder, entry[key]), encoding="utf-8") as file:
            return file.read()
    return None


class Api:
    def __init__(self, kubeconfig):
        with open(kubeconfig, encoding="utf-8") as file:
            config = yaml.safe_load(file)
        context = find(config["contexts"], config["current-context"])["context"]
        cluster = find(config["clusters"], context["cluster"])["cluster"]
        user = find(config["users"], context["user"])["user"]
        folder = os.path.dirname(os.path.abspath(kubeconfig))
        self.server = cluster["server"].rstrip("/")
        self.token = user.get("token")
        tls = ssl.create_default_context(cadata=value(cluster, "certificate-authority", folder))
        if cluster.get("insecure-skip-tls-verify"):
            tls.check_hostname = False
            tls.verify_mode = ssl.CERT_NONE
        certificate = value(user, "client-certificate", folder)
        if certificate:
            with tempfile.NamedTemporaryFile("w") as both:  # ssl reads certificates from files only
                both.write(certificate + "\n" + value(user, "client-key", folder))
                both.flush()
                tls.load_cert_chain(both.name)
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=tls))

    def request(self, method, path, body=None, patch=None, timeout=30):
        """Returns (status, decoded body). Text that is not JSON comes as it is."""
        headers = {"Accept": "application/json"}
        if self.token:
            headers["Authorization"] = "Bearer " + self.token
        if body is not None:
            headers["Content-Type"] = PATCH_TYPES[patch] if patch else "application/json"
            body = json.dumps(body).encode()
        request = urllib.request.Request(self.server + path, data=body, headers=headers, method=method)
        try:
            with self.opener.open(request, timeout=timeout) as answer:
                status, text = answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read().decode()
        try:
            return status, json.loads(text)
        except ValueError:
            return status, text
