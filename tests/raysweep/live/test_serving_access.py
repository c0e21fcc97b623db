"""Who may ask the server of the report for something, and what others get."""

import pytest

from tests.raysweep.live.browsing import PAGE, SECRET


def test_whoever_comes_with_the_token_gets_a_cookie_and_with_it_the_pages(browser):
    status, headers, _ = browser.ask("/?token=token-of-this-test", headers={})
    assert (status, headers["location"]) == (303, "/")
    cookie, *attributes = headers["set-cookie"].split("; ")
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} == set(attributes)
    mine = {"Cookie": f"other=1; {cookie}; another=2"}
    assert browser.ask("/", headers=mine)[2] == PAGE.encode()
    assert browser.ask("/report.html", headers=mine)[2] == PAGE.encode()
    assert browser.ask("/pages/a-s0-1.html", headers=mine)[2] == b"pages/a-s0-1.html"
    assert browser.ask("/pages/page.css", headers=mine)[1]["content-type"].startswith("text/css")
    assert browser.ask("/pages/page.js", headers=mine)[1]["content-type"].startswith("text/javascript")
    assert browser.ask("/tables/summary.csv", headers=mine)[1]["content-type"].startswith("text/csv")
    assert browser.ask("/plots/effects.svg", headers=mine)[1]["content-type"] == "image/svg+xml"


def test_a_program_may_send_the_token_as_a_bearer(browser):
    assert browser.ask("/")[0] == 200


WITHOUT = (
    ("/", {}),
    ("/?token=", {}),
    ("/?token=token-of-this-tes", {}),
    ("/?token=token-of-this-test2", {}),
    ("/?token=t%C3%B6ken", {}),
    ("/?Token=token-of-this-test", {}),
    ("/", {"Authorization": "Bearer"}),
    ("/", {"Authorization": "Bearer token-of-this-tesT"}),
    ("/", {"Authorization": "Basic token-of-this-test"}),
    ("/", {"Cookie": "raysweep=token-of-this-test"}),
    ("/", {"Cookie": "token-of-this-test"}),
    ("/nothing", {}),
    ("/live", {}),
    ("/plan.json", {}),
)


@pytest.mark.parametrize(("path", "headers"), WITHOUT)
def test_without_the_token_there_is_nothing_to_be_had_or_found_out(browser, path, headers):
    status, answered, content = browser.ask(path, headers=headers)
    assert status == 403
    assert "set-cookie" not in answered
    assert content == b"open the address that the server has printed, with its token\n"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:9000", "LOCALHOST:1", "[::1]:8321", "127.0.0.1:65535"])
def test_the_other_end_of_a_tunnel_may_have_any_port(browser, host):
    assert browser.ask("/", headers={**browser.bearer, "Host": host})[0] == 200


HOSTS = (
    "evil.example",
    "localhost.evil.example",
    "127.0.0.1.evil.example:80",
    "127.0.0.2",
    "0.0.0.0",
    "",
    "localhost:a",
)


@pytest.mark.parametrize("host", HOSTS)
def test_a_name_that_somebody_has_let_lead_here_is_refused_even_with_the_token(browser, host):
    for path in ("/", "/?token=token-of-this-test"):
        status, headers, _ = browser.ask(path, headers={**browser.bearer, "Host": host})
        assert status == 403
        assert "set-cookie" not in headers


def test_two_hosts_or_none_are_refused(browser):
    token = b"Authorization: Bearer token-of-this-test\r\n"
    two = browser.raw(b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n" + token + b"\r\n")
    none = browser.raw(b"GET / HTTP/1.0\r\n" + token + b"\r\n")
    assert two.split()[1] == none.split()[1] == b"403"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT", "PROPFIND"])
def test_other_methods_are_refused(browser, method):
    status, headers, content = browser.ask("/", method)
    assert (status, headers["allow"]) == (405, "GET, HEAD")
    assert PAGE.encode() not in content


def test_a_head_has_the_headers_of_the_page_and_no_body(browser):
    status, headers, content = browser.ask("/", "HEAD")
    assert (status, content) == (200, b"")
    assert int(headers["content-length"]) == len(PAGE)


def test_the_way_on_after_the_token_stays_on_this_server(browser):
    for path, target in (("//evil.example/", "/evil.example/"), ("/a%0d%0ab", "/a%0D%0Ab"), ("/%5cevil", "/%5Cevil")):
        status, headers, _ = browser.ask(f"{path}?token=token-of-this-test", headers={})
        assert (status, headers["location"]) == (303, target)


def test_what_is_no_request_gets_a_short_answer_and_harms_nobody(browser):
    for request in (
        b"\x16\x03\x01\x02\x00\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"G" * 70_000 + b"\r\n\r\n",
    ):
        assert SECRET.encode() not in browser.raw(request)
    assert browser.ask("/")[0] == 200
