"""Looks at the cockpit page with a real browser, and takes pictures of its states.

    cockpit.py STEP FOLDER URL

Steps, in the order in which the script that calls this brings them about: empty, connected, unreachable.
"""

import pathlib
import sys
import time
import urllib.error
import urllib.request

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait


def browser():
    options = webdriver.ChromeOptions()
    for option in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1280,1400", "--force-prefers-reduced-motion"):
        options.add_argument(option)
    # Whatever is loaded from elsewhere fails, and the page must not need it.
    options.add_argument("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options=options, service=webdriver.ChromeService("/usr/bin/chromedriver"))


step, folder, url = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3]
driver = browser()
wait = WebDriverWait(driver, 30)


def text():
    return driver.find_element(By.TAG_NAME, "main").text


def until(*words):
    wait.until(lambda _: all(word in text() for word in words), f"{words} never came in:\n{text()}")


def picture(name):
    driver.save_screenshot(str(folder / f"{name}.png"))


def check(what, is_true):
    print("ok" if is_true else "FAILED", what)
    if not is_true:
        raise SystemExit(1)


def named(label):
    return driver.find_element(By.CSS_SELECTOR, f'button[aria-label="{label}"]')


def press(label):
    # With the keyboard alone.
    named(label).send_keys(Keys.ENTER)


def answer(path="", **options):
    request = urllib.request.Request(url + path, **options)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code


try:
    driver.get(url)
    if step == "empty":
        until("No Cloud Connector", "Not connected", "There are no destinations.", "Nothing was refused.")
        check("the page says what to do first", "connectord enrol create --subaccount" in text())
        check("it is not served under another name", answer(headers={"Host": "evil.example.com"}) == 421)
        body = {"method": "POST", "data": b"{}"}
        check("changes need the page's token", answer("api/check", **body) == 403)
        foreign = {"X-CSRF-Token": "0" * 32, "Origin": "http://evil.example.com"}
        check("and its origin", answer("api/check", headers=foreign, **body) == 403)
        picture("no-connector")
    elif step == "connected":
        until("Master Instance", "Connected since", "internalhost:3333", "reachable")
        check("the certificate's days are shown", "days left" in text())
        check("what was issued is listed", "Certificates of Connectors" in text() and "valid" in text())
        check("and so is who was refused", "Connections Refused at the Tunnels" in text())
        press("Create a destination for internalhost:3333")
        until("INTERNALHOST_3333", "http://internalhost:3333")
        press("Check connection of HELLO")
        until('Connection to "HELLO" established. Response returned: "200: OK"')
        focused = driver.switch_to.active_element.get_attribute("aria-label")
        check("the focus stays on the button that was pressed", focused == "Check connection of HELLO")
        news = driver.find_element(By.CSS_SELECTOR, '[role="status"]').get_attribute("textContent")
        check("a screen reader hears the result", "established" in news)
        press("Check connection of INTERNALHOST_3333")
        until("Resource is not accessible in Cloud Connector or backend is not reachable.")
        picture("connected")
        until("What would allow it")
        for summary in driver.find_elements(By.TAG_NAME, "summary"):
            summary.send_keys(Keys.ENTER)
        until("- {path: /, access: path-only}")
        time.sleep(4)
        until("- {path: /, access: path-only}")
        check("what was opened stays open", True)
        driver.execute_script("window.scrollTo(0, document.body.scrollHeight)")
        picture("refusals")
        for element in driver.find_elements(By.CSS_SELECTOR, "table"):
            check("each table has a caption", element.find_element(By.TAG_NAME, "caption").text != "")
        driver.find_element(By.TAG_NAME, "body").send_keys(Keys.HOME)
        driver.set_window_size(420, 900)
        narrow = driver.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
        check("a narrow window needs no sideways scrolling", narrow)
        inside = """
            return [...document.querySelectorAll("td")].filter((cell) => cell.getBoundingClientRect().right > window.innerWidth).length
        """
        check("and shows every column", driver.execute_script(inside) == 0)
        check("each with its name", driver.execute_script(
            "return getComputedStyle(document.querySelector('td[data-label]'), '::before').content !== 'none'"))
        picture("narrow")
    elif step == "unreachable":
        until("not reachable: connection_refused")
        press("Check connection of HELLO")
        until("Backend is not reachable from Cloud Connector.", "connection refused")
        picture("unreachable")
        press("Check connection of TYPO")
        until("Backend is not available in the list of defined system mappings in Cloud Connector.", "did you mean internalhost:3333?")
        picture("failed-check")
        driver.find_element(By.XPATH, "//button[text()='Add a PO system']").send_keys(Keys.ENTER)
        for name, value in {"name": "P01", "address": "http://internalhost:3333", "user": "po", "password": "secret"}.items():
            driver.find_element(By.ID, f"po-{name}").send_keys(value)
        picture("po-dialog")
        driver.find_element(By.ID, "po-password").send_keys(Keys.ENTER)
        until("P01")
        press("Test connection of P01")
        until("resource-preset: process-orchestration")
        picture("po-system")
    errors = [entry for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]
    check(f"the browser has nothing to complain about {errors}", not errors)
finally:
    driver.quit()
