"""Uses the administrators' page with a real browser, as a newcomer does, and takes pictures of its states.

    page.py URL CODE FOLDER PROXY-PORT TOKEN
"""

import sys
import urllib.error
import urllib.request

from browser import Browser, By, Keys, check
from selenium.webdriver.support.ui import Select

url, code, port, token = sys.argv[1], sys.argv[2], sys.argv[4], sys.argv[5]
PASSWORD = "correct horse battery"
browser = Browser(sys.argv[3])
driver, wait = browser.driver, browser.wait
until, gone, picture, write = browser.until, browser.gone, browser.picture, browser.write
press, press_at, press_text = browser.press, browser.press_at, browser.press_text


def request(target):
    """A request of a program in the cloud: its status."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({"http": f"http://127.0.0.1:{port}"}))
    call = urllib.request.Request(target, headers={"Proxy-Authorization": f"Bearer {token}"})
    try:
        response = opener.open(call, timeout=20)
    except urllib.error.HTTPError as error:
        response = error
    # To the end: a request that is given up within its answer is counted when the connector hears of it.
    with response:
        response.read()
    return response.status


try:
    driver.get(url)
    until("Log in", "connectord admin password")
    write("login-password", "wrong")
    driver.find_element(By.ID, "login-password").send_keys(Keys.ENTER)
    until("the name or the password is wrong")
    picture("login")
    write("login-password", code)
    driver.find_element(By.ID, "login-password").send_keys(Keys.ENTER)
    until("Set a password")
    write("new-password", "short")
    write("repeated", "short" + Keys.ENTER)
    until("shorter than 12 characters")
    write("new-password", PASSWORD)
    write("repeated", PASSWORD + Keys.ENTER)
    until("Connected to 127.0.0.1:20443", "internalhost:3333", "/hello")
    check("who is logged in is shown", "Administrator" in driver.find_element(By.ID, "user").text)

    press("Check availability of internalhost:3333")
    until("connected", "answered HEAD / with 404")
    picture("status")

    check("what is not exposed is refused", request("http://internalhost:3333/a/b") == 403)
    check("what is exposed is not", request("http://internalhost:3333/hello") == 200)
    until("GET http://internalhost:3333/a/b", "resource not exposed")
    press("Show what would allow http://internalhost:3333/a/b")
    until("/a/b, path only", "/a/ and all sub-paths", place="dialog")
    picture("proposals")
    press_text("/a/b, path only")
    until("+", "path: /a/b", place="dialog")
    picture("difference")
    press_text("Add")
    until("path only")
    wait.until(lambda _: request("http://internalhost:3333/a/b") == 404)
    check("one press from a refusal to the rule that allows it", True)

    press("Suspend /a/b of internalhost:3333")
    until("suspended")
    wait.until(lambda _: request("http://internalhost:3333/a/b") == 403)
    press("Remove /a/b of internalhost:3333")
    until("Remove /a/b", place="dialog")
    press_text("Remove")
    gone("Suspend /a/b")

    press("Add a system mapping to 3b7e1e5a-8d0c-4b5e-9a51-0c2f6e1d7a10")
    write("field-localHost", "127.0.0.1")
    write("field-localPort", "3333")
    write("field-virtualHost", "second")
    write("field-virtualPort", "999999")
    Select(driver.find_element(By.ID, "field-protocol")).select_by_visible_text("HTTP")
    until("is not a port", place="dialog")
    invalid = driver.find_elements(By.CSS_SELECTOR, '[aria-invalid="true"]')
    check("the finding stands at its field", [field.get_attribute("name") for field in invalid] == ["virtualHost"])
    write("field-virtualPort", "81")
    until("+", "virtual-host: second:81", place="dialog")
    picture("mapping")
    press_text("Add")
    until("second:81", "nothing exposed")

    write("try-url", "http://internalhost:3333/Hello")
    driver.find_element(By.ID, "try-url").send_keys(Keys.ENTER)
    until("refused", "decision    denied with 403")

    press("History: read")
    until("before the change of")
    press_at("#history summary")
    until("virtual-host: second:81")
    press_at("#history details[open] button")
    press_text("Set back")
    gone("second:81\n→")
    check("a change is undone", True)

    press("Learn what internalhost:3333 needs")
    until("everything below this host passes", place="dialog")
    picture("learn")
    press_text("Learn")
    until("LEARNS: everything passes")
    for path in ("orders/1", "orders/2", "orders/3", "ping"):
        check(f"/{path} passes", request(f"http://internalhost:3333/{path}") == 404)
    press("Propose resources for internalhost:3333")
    until("/orders/, path and all sub-paths", "3 keys vary here", "/ping, path only", place="dialog")
    picture("learnt")
    press_text("Accept")
    until("/orders/", "/ping")
    gone("LEARNS")
    check("what was accepted passes", request("http://internalhost:3333/orders/4") == 404)
    check("and nothing else", request("http://internalhost:3333/other") == 403)

    press("Audit log: read")
    until("BackendMapping second:81 added", "Administrator from 127.0.0.1")
    press("Verify the chain")
    until("whole:")
    press("Log: read")
    until("tunnel connected")
    picture("whole")

    driver.set_window_size(420, 900)
    narrow = driver.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    check("a narrow window needs no sideways scrolling", narrow)
    picture("narrow")
    driver.set_window_size(1280, 1400)
    bare = "return [...document.querySelectorAll('main table')].filter((table) => !table.caption?.textContent).length"
    check("each table has a caption", driver.execute_script(bare) == 0)
    nameless = """
        return [...document.querySelectorAll("main input, main select")]
            .filter((field) => !field.getAttribute("aria-label") && !document.querySelector(`label[for="${field.id}"]`)).map((field) => field.id)
    """
    check("each field has a name", driver.execute_script(nameless) == [])
    press_text("Log out", "header")
    until("Log in")
    allowed = ("401", "400", "dry-run")
    problems = [entry for entry in driver.get_log("browser") if entry["level"] == "SEVERE" and not any(word in entry["message"] for word in allowed)]
    check(f"the browser has nothing to complain about: {problems}", not problems)
finally:
    picture("last")
    driver.quit()
