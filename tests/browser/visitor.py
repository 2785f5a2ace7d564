"""Somebody who uses the console's pages: goes, reads, fills in, presses."""

import time

from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException, WebDriverException
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select


class Visitor:
    def __init__(self, looker):
        self.looker = looker
        self.driver = looker.driver
        self.base = ""

    def go(self, path: str):
        self.driver.get(self.base + path)

    @property
    def path(self) -> str:
        return self.driver.current_url.removeprefix(self.base)

    def text(self) -> str:
        return self.driver.find_element(By.TAG_NAME, "main").text

    def expect(self, *words: str):
        for word in words:
            assert word in self.text(), f"{self.path} does not say {word!r}:\n{self.text()}"

    def expect_not(self, *words: str):
        for word in words:
            assert word not in self.text(), f"{self.path} says {word!r}:\n{self.text()}"

    def wait_for(self, *words: str, path: str | None = None):
        """Loads the page again until it says so; what is shown while something runs is looked at by others."""
        for _ in range(120):
            try:
                if all(word in self.text() for word in words):
                    return
            except (NoSuchElementException, StaleElementReferenceException):
                pass
            time.sleep(0.25)
            self.go(path or self.path)
        self.expect(*words)

    def fill(self, name: str, value: str):
        field = self.driver.find_element(By.NAME, name)
        field.clear()
        field.send_keys(value)

    def tick(self, name: str, on: bool = True):
        box = self.driver.find_element(By.NAME, name)
        if box.is_selected() != on:
            box.click()

    def choose(self, name: str, value: str):
        field = self.driver.find_elements(By.CSS_SELECTOR, f"input[type=radio][name='{name}'][value='{value}']")
        if field:
            field[0].click()
        else:
            Select(self.driver.find_element(By.NAME, name)).select_by_value(value)

    def press(self, words: str):
        """Presses the button, or follows the link, with these words or this name; the first of several."""
        for element in self.driver.find_elements(By.CSS_SELECTOR, "main button, main a, header button, nav a"):
            if words in (element.text, element.get_attribute("aria-label")):
                self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
                self.driver.execute_script("window.isOld = true")
                element.click()
                self.wait_for_the_next_page()
                return
        raise AssertionError(f"{self.path} has nothing to press that is called {words!r}:\n{self.text()}")

    def press_for_download(self, words: str):
        for element in self.driver.find_elements(By.CSS_SELECTOR, "main button, main a"):
            if words == element.text:
                element.click()
                return
        raise AssertionError(f"{self.path} has nothing to press that is called {words!r}")

    def wait_for_the_next_page(self):
        for _ in range(600):
            try:
                if self.driver.execute_script("return !window.isOld && document.readyState === 'complete'"):
                    return
            except WebDriverException:
                # Between two pages there is none to ask.
                pass
            time.sleep(0.05)
        raise AssertionError(f"nothing happened on {self.path}")

    def tab_through(self) -> tuple[list[str], list[str]]:
        """What the tab key reaches on this page, and what it should."""
        names = "e => (e.getAttribute('aria-label') || e.labels?.[0]?.innerText || e.innerText || e.value || '').trim().slice(0, 60)"
        should = self.driver.execute_script(
            f"const name = {names}; return [...document.querySelectorAll('a[href], button, input:not([type=hidden]), select, textarea')]"
            ".filter(e => e.checkVisibility() && !e.disabled).map(name)")
        self.driver.execute_script("document.activeElement.blur(); window.scrollTo(0, 0)")
        reached = []
        for _ in range(len(should) + 5):
            ActionChains(self.driver).send_keys(Keys.TAB).perform()
            name = self.driver.execute_script(
                f"const name = {names}; const e = document.activeElement; return e === document.body ? null : name(e)")
            if name is None:
                break
            reached.append(name)
        return reached, should
