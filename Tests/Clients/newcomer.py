"""Sets up a connector from its page alone, as docs/administration.md says, with pictures of each step.

    newcomer.py URL CODE FOLDER TOKEN BACKUP URL-OF-THE-BACKUP
"""

import sys

from selenium.common.exceptions import WebDriverException

from browser import Browser, By, Keys, check
from selenium.webdriver.support.ui import Select

url, code, token, backup, moved = sys.argv[1], sys.argv[2], sys.argv[4], sys.argv[5], sys.argv[6]
browser = Browser(sys.argv[3])
driver, wait = browser.driver, browser.wait
until, gone, picture, write = browser.until, browser.gone, browser.picture, browser.write
press, press_text = browser.press, browser.press_text

try:
    browser.log_in(url, code, "correct horse battery")
    until("Not set up yet")
    picture("newcomer-1-empty")
    press("Add a subaccount")
    write("token", "nonsense")
    until("not an enrolment token", place="dialog")
    write("token", token)
    until("127.0.0.1:20443", "second", place="dialog")
    picture("newcomer-2-token")
    press_text("Add")
    until("Connected to 127.0.0.1:20443", "Nothing is exposed yet")
    picture("newcomer-3-connected")
    press("Add a system mapping to 3b7e1e5a-8d0c-4b5e-9a51-0c2f6e1d7a10")
    for name, value in (("localHost", "127.0.0.1"), ("localPort", "3333"), ("virtualHost", "plant"), ("virtualPort", "80")):
        write(f"field-{name}", value)
    Select(driver.find_element(By.ID, "field-protocol")).select_by_visible_text("HTTP")
    until("virtual-host: plant:80", place="dialog")
    picture("newcomer-4-mapping")
    press_text("Add")
    until("plant:80", "nothing exposed")
    press("Check availability of plant:80")
    until("answered HEAD / with 404")
    picture("newcomer-5-checked")
    press("Learn what plant:80 needs")
    until("everything below this host passes", place="dialog")
    press_text("Learn")
    until("LEARNS: everything passes")
    picture("newcomer-6-learning")
    press("Propose resources for plant:80")
    until("What plant:80 was asked for", "Nothing.", place="dialog")
    press_text("Cancel")
    press("Stop learning what plant:80 needs")
    gone("LEARNS")
    press("Renew the certificate of 3b7e1e5a-8d0c-4b5e-9a51-0c2f6e1d7a10")
    wait.until(lambda _: driver.find_element(By.ID, "news").get_attribute("textContent") == "renewed")
    check("the certificate is renewed", True)
    write("restore-backup", backup)
    write("restore-password", "of the backup")
    picture("newcomer-7-restore")
    press_text("Restore", "#backup")
    until("All files of the connector become", place="dialog")
    press_text("Restore")

    def arrive(_):
        try:
            driver.get(moved)
            return "Log in" in browser.text()
        except WebDriverException:
            return False

    # Address, users and password are those of the first machine now.
    wait.until(arrive)
    write("login-password", "correct horse battery" + Keys.ENTER)
    until("internalhost:3333", "/hello")
    gone("plant:80")
    picture("newcomer-8-restored")
    check("a second machine is what the first one was", True)
finally:
    picture("newcomer-last")
    driver.quit()
