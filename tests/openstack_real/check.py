#!/usr/bin/python3
"""Asks the real services what table.json asks, and says where they answer otherwise.

    check.py DIRECTORY TABLE

The directory is the one that servers.py prepared, and the services run.
"""
import json
import sqlite3
import sys
import time
import urllib.error
import urllib.request

from servers import PASSWORD

# Stands for an object that there is not.
NOTHING = "00000000-1111-4222-8333-444444444444"


class Services:
    def __init__(self, home):
        self.home = home
        keystone, neutron, octavia = open(f"{home}/ports", encoding="utf-8").read().split()
        self.at = {"identity": f"http://127.0.0.1:{keystone}", "network": f"http://127.0.0.1:{neutron}",
                   "load-balancer": f"http://127.0.0.1:{octavia}"}
        self.token = None

    def ask(self, method, path, body=None, token=True):
        _, service, rest = path.split("/", 2)
        headers = {"content-type": "application/json"}
        if token and self.token:
            headers["x-auth-token"] = self.token
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.at[service]}/{rest}", data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:
                return reply.status, dict(reply.headers.items()), read(reply)
        except urllib.error.HTTPError as refused:
            return refused.code, dict(refused.headers.items()), read(refused)

    def wait(self, seconds):
        """Waits until all three answer, however they do."""
        end = time.monotonic() + seconds
        for path in ("/identity/v3", "/network/v2.0/networks", "/load-balancer/v2/lbaas/loadbalancers"):
            while True:
                try:
                    self.ask("GET", path)
                    break
                except OSError as why:
                    if time.monotonic() > end:
                        sys.exit(f"{path} did not answer within {seconds} seconds: {why}")
                    time.sleep(0.2)

    def login(self):
        domain = {"id": "default"}
        user = {"name": "admin", "domain": domain, "password": PASSWORD}
        auth = {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": {"project": {"name": "admin", "domain": domain}}}
        code, headers, body = self.ask("POST", "/identity/v3/auth/tokens", {"auth": auth})
        if code != 201:
            sys.exit(f"Keystone gave no token: {code} {body}")
        self.token = {name.lower(): value for name, value in headers.items()}["x-subject-token"]

    def set_balancer(self, balancer, status):
        """What a driver would do: the one here does nothing."""
        with sqlite3.connect(f"{self.home}/octavia.db", timeout=30) as database:
            database.execute("update load_balancer set provisioning_status = ? where id = ?", (status, balancer))


def read(reply):
    text = reply.read()
    try:
        return json.loads(text)
    except ValueError:
        return None


def filled(value, kept):
    if isinstance(value, str):
        for name in sorted(kept, key=len, reverse=True):
            value = value.replace(f"${name}", kept[name])
        return value
    if isinstance(value, list):
        return [filled(one, kept) for one in value]
    if isinstance(value, dict):
        return {key: filled(one, kept) for key, one in value.items()}
    return value


def at(body, pointer):
    for part in pointer.split("/")[1:]:
        try:
            body = body[int(part)] if isinstance(body, list) else body[part]
        except (KeyError, IndexError, TypeError):
            return None
    return body


def said(body):
    body = body if isinstance(body, dict) else {}
    return at(body, "/NeutronError/message") or body.get("faultstring") or at(body, "/error/message") or ""


def differences(row, code, body, kept):
    if code != row["answers"]:
        yield f"answers {code}, not {row['answers']}"
    kind = row.get("type")
    if kind and at(body, "/NeutronError/type") != kind:
        yield f"the type is {at(body, '/NeutronError/type')}, not {kind}"
    words = filled(row.get("says", ""), kept)
    if not said(body).startswith(words):
        yield f"says {said(body)!r}, not {words!r}"
    for pointer, value in filled(row.get("holds", {}), kept).items():
        if at(body, pointer) != value:
            yield f"{pointer} is {at(body, pointer)!r}, not {value!r}"
    for pointer, number in row.get("counts", {}).items():
        found = at(body, pointer)
        if not isinstance(found, list) or len(found) != number:
            yield f"{pointer} is {found!r}, not {number} of them"


def main(home, table):
    services, kept, wrong, asked = Services(home), {"nothing": NOTHING}, 0, 0
    services.wait(300)
    services.login()
    for number, row in enumerate(json.load(open(table, encoding="utf-8")), 1):
        if "balancer" in row:
            services.set_balancer(filled(row["balancer"], kept), row["becomes"])
            continue
        method, path = filled(row["ask"], kept).split(" ", 1)
        code, _, body = services.ask(method, path, filled(row.get("body"), kept), not row.get("without_token"))
        asked += 1
        for difference in differences(row, code, body, kept):
            wrong += 1
            print(f"row {number}, {row['ask']}: {difference}")
        for name, pointer in row.get("keep", {}).items():
            kept[name] = str(at(body, pointer))
    print(f"{asked} requests to the real services, {wrong} answers other than the table's")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main(*sys.argv[1:3])
