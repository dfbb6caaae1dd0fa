"""A headless Chromium for the tests of pages, used with the keyboard alone."""

import pathlib

from selenium import webdriver
from selenium.common.exceptions import ElementNotInteractableException, NoSuchElementException, StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait


def check(what, is_true):
    print("ok" if is_true else "FAILED", what)
    if not is_true:
        raise SystemExit(1)


class Browser:
    def __init__(self, pictures):
        self.pictures = pathlib.Path(pictures)
        options = webdriver.ChromeOptions()
        for option in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1280,1400", "--force-prefers-reduced-motion"):
            options.add_argument(option)
        # The certificate is the connector's own. Whatever is loaded from elsewhere fails, and the page must not need it.
        options.add_argument("--ignore-certificate-errors")
        options.add_argument("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=webdriver.ChromeService("/usr/bin/chromedriver"))
        # What is drawn anew meanwhile is found again.
        ignored = [ElementNotInteractableException, NoSuchElementException, StaleElementReferenceException]
        self.wait = WebDriverWait(self.driver, 30, ignored_exceptions=ignored)

    def text(self, name="main"):
        return self.driver.find_element(By.TAG_NAME, name).text

    def until(self, *words, place="main"):
        self.wait.until(lambda _: all(word in self.text(place) for word in words), f"{words} never came in:\n{self.text(place)}")

    def gone(self, word, place="main"):
        self.wait.until(lambda _: word not in self.text(place), f"{word} stayed in:\n{self.text(place)}")

    def picture(self, name):
        self.driver.save_screenshot(str(self.pictures / f"{name}.png"))

    def press_at(self, selector, words=""):
        """Presses the first button of a selector whose text begins so."""

        def attempt(_):
            for button in self.driver.find_elements(By.CSS_SELECTOR, selector):
                if button.text.startswith(words):
                    button.send_keys(Keys.ENTER)
                    return True
            return False

        self.wait.until(attempt, f"there is no button {selector} {words}")

    def press(self, label):
        self.press_at(f'[aria-label="{label}"]')

    def press_text(self, words, place="dialog"):
        self.press_at(f"{place} button", words)

    def write(self, name, value):
        def attempt(_):
            field = self.driver.find_element(By.ID, name)
            if field.get_attribute("type") != "file":
                field.clear()
            field.send_keys(value)
            return True

        self.wait.until(attempt, f"{name} cannot be written to")

    def log_in(self, url, code, password):
        """The first time, with a one-time code."""
        self.driver.get(url)
        self.until("Log in", "connectord admin password")
        self.write("login-password", code)
        self.driver.find_element(By.ID, "login-password").send_keys(Keys.ENTER)
        self.until("Set a password")
        self.write("new-password", password)
        self.write("repeated", password + Keys.ENTER)
        self.gone("Set a password")
