"""A browser that looks at each page: light and dark, wide and narrow; and says what is wrong with it."""

import base64
import json
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

WIDE, NARROW = (1280, 900), (360, 740)
RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}}


class Looker:
    def __init__(self, axe: Path, screenshots: Path, downloads: Path):
        self.axe = axe.read_text()
        self.screenshots = screenshots
        self.downloads = downloads
        self.faults: list[str] = []
        self.seen: set[str] = set()
        screenshots.mkdir(parents=True, exist_ok=True)
        options = webdriver.ChromeOptions()
        for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--hide-scrollbars"):
            options.add_argument(argument)
        options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
        self.driver.set_page_load_timeout(30)
        self.driver.execute_cdp_cmd(
            "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(downloads)})

    def close(self):
        self.driver.quit()

    def look(self, name: str):
        """Looks at the page that is open, as it is, in each way; puts the window back as it was."""
        self.seen.add(name)
        for scheme in ("light", "dark"):
            for size in (WIDE, NARROW):
                self.show_as(scheme, size)
                self.look_once(f"{name}-{scheme}-{size[0]}")
        self.show_as("light", WIDE)
        self.hear(name)

    def show_as(self, scheme: str, size: tuple[int, int]):
        # Without movement, so that nothing is seen half way from one colour to the other.
        wanted = {"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce"}
        media = {"features": [{"name": name, "value": value} for name, value in wanted.items()]}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
        screen = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)

    def look_once(self, name: str):
        shot = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "format": "png"})
        (self.screenshots / f"{name}.png").write_bytes(base64.b64decode(shot["data"]))
        widths = self.driver.execute_script(
            "const e = document.documentElement; return [e.scrollWidth, e.clientWidth, document.body.scrollWidth]")
        if widths[0] > widths[1] or widths[2] > widths[1]:
            self.faults.append(f"{name}: it is {max(widths)} wide, on a screen of {widths[1]}: {self.too_wide()}")
        for cut in self.cut_off():
            self.faults.append(f"{name}: it is cut off at its right: {cut}")
        for rule, nodes in self.violations():
            self.faults.append(f"{name}: {rule}: {nodes}")

    def too_wide(self) -> str:
        return str(self.driver.execute_script(
            "const w = document.documentElement.clientWidth; return [...document.querySelectorAll('*')]"
            ".filter(e => e.getBoundingClientRect().right > w + 1).slice(0, 5).map(e => e.outerHTML.slice(0, 120))"))

    def cut_off(self) -> list[str]:
        """What a box hides because it does not fit; a name that ends in dots may."""
        return self.driver.execute_script(
            "return [...document.querySelectorAll('main *')].filter(e => e.scrollWidth > e.clientWidth + 1"
            " && getComputedStyle(e).overflowX === 'hidden' && !e.matches('.unseen, thead, thead *')).map(e => e.outerHTML.slice(0, 120))")

    def violations(self):
        # Through the debugger: the page's own policy lets no other script in.
        self.evaluate(self.axe + "; 0")
        found = self.evaluate(f"axe.run(document, {json.dumps(RULES)}).then(r => JSON.stringify(r.violations))")
        for violation in json.loads(found):
            yield violation["id"], [node["html"][:160] + " " + node["failureSummary"][:200] for node in violation["nodes"]][:3]

    def evaluate(self, expression: str):
        answer = self.driver.execute_cdp_cmd(
            "Runtime.evaluate", {"expression": expression, "awaitPromise": True, "returnByValue": True})
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"])
        return answer["result"].get("value")

    def hear(self, name: str):
        """What the console of the browser says: nothing, on a page that is as it should be."""
        for line in self.driver.get_log("browser"):
            if line["level"] in ("SEVERE", "WARNING"):
                self.faults.append(f"{name}: the browser says: {line['message'][:300]}")
