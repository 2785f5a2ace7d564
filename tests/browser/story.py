"""The console's story, in a browser: first run, everything made, backup, restore as a copy and as a replacement.

    story.py MOORLINE AXE SCREENSHOTS ADDRESS

The consoles are visited at this address, which is not loopback; one without a password at 127.0.0.1, where alone it answers.
Each page is looked at in light and dark, wide and narrow; what is wrong with any of them is told at the end.
"""

import json
import shutil
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from container import LOOPBACK, Container
from listener import Listener
from look import Looker
from visitor import Visitor

FIRST, PASSWORD = "the first password", "a better password"
SECRET = "Bearer of-good-news"


def say(words: str):
    print(f"-- {words}", flush=True)


def main():
    moorline, axe, screenshots = (Path(argument).resolve() for argument in sys.argv[1:4])
    network = sys.argv[4]
    work = Path(tempfile.mkdtemp(prefix="moorline-browser-"))
    downloads = work / "downloads"
    downloads.mkdir()
    listener, looker = Listener(), Looker(axe, screenshots, downloads)
    containers: list[Container] = []

    def container(name: str, address: str = network, **settings: str) -> Container:
        containers.append(Container(moorline, work / name, address, **settings))
        return containers[-1]

    visitor = Visitor(looker)
    try:
        original = container("original", MOORLINE_FIRSTRUN_ADMINPASSWORD=FIRST, MOORLINE_BACKUPS_TO_KEEP="5").start()
        first_run(visitor, looker, original)
        make_everything(visitor, looker, listener, original)
        backup = back_up_and_download(visitor, looker, listener, downloads)
        look_at_the_rest(visitor, looker)
        use_the_keyboard(visitor)
        key = original.verb("show-key").strip()
        original.stop()
        as_a_copy(visitor, looker, listener, container("copy"), backup, key)
        as_a_replacement(visitor, looker, listener, container("replacement"), backup, key)
        without_password(visitor, looker, container("nobody", LOOPBACK))
        without_login(visitor, container("open", MOORLINE_FIRSTRUN_NOAUTHENTICATION="true"))
        assert not looker.faults, f"{len(looker.faults)} faults of pages"
        say(f"{len(looker.seen)} pages, in light and dark, wide and narrow: {screenshots}")
    except BaseException:
        looker.driver.save_screenshot(str(screenshots / "failed.png"))
        for one in containers:
            print(f"== log of {one.volume.name}\n{one.log.read_text()[-3000:]}", file=sys.stderr)
        raise
    finally:
        for fault in looker.faults:
            print(f"fault: {fault}", file=sys.stderr)
        looker.close()
        for one in containers:
            one.stop()
        shutil.rmtree(work, ignore_errors=True)


def log_in(visitor: Visitor, container: Container, password: str = PASSWORD):
    visitor.base = container.url
    visitor.go("/")
    visitor.fill("Username", "admin")
    visitor.fill("Password", password)
    visitor.press("Log in")


def first_run(visitor: Visitor, looker: Looker, container: Container):
    say("first run: log in, change the password")
    visitor.base = container.url
    visitor.go("/events")
    assert visitor.path == "/login?next=/events", visitor.path
    looker.look("login")
    visitor.fill("Username", "admin")
    visitor.fill("Password", "not the password")
    visitor.press("Log in")
    visitor.expect("Wrong")
    # The status of a refused login is all that the browser has to say.
    looker.driver.get_log("browser")
    looker.look("login-refused")
    visitor.fill("Password", FIRST)
    visitor.press("Log in")
    visitor.expect("Choose a new password")
    looker.driver.get_log("browser")
    looker.look("login-new-password")
    visitor.fill("Password", FIRST)
    visitor.fill("NewPassword", PASSWORD)
    visitor.fill("Again", PASSWORD)
    visitor.press("Change password and log in")
    assert visitor.path == "/events", visitor.path
    visitor.expect("Events", "The secret key has not been confirmed as saved elsewhere.")


def make_everything(visitor: Visitor, looker: Looker, listener: Listener, container: Container):
    say("a user, an API key, a signal, an app")
    visitor.go("/users")
    visitor.press("New user")
    looker.look("user-new")
    visitor.fill("Username", "reader")
    visitor.fill("NewPassword", "short")
    visitor.press("Save")
    visitor.expect("too short")
    looker.driver.get_log("browser")
    looker.look("user-refused")
    visitor.fill("NewPassword", "long enough")
    visitor.press("Save")
    visitor.expect("User reader was created.", "reader")

    visitor.press("New API key")
    looker.look("apikey-new")
    visitor.fill("Title", "Dashboard")
    visitor.press("Create")
    visitor.expect("shown only once")
    looker.look("apikey-token")
    token = looker.driver.find_element("id", "token").text
    asked = urllib.request.Request(container.url + "/api/signals", headers={"X-Seq-ApiKey": token})
    assert urllib.request.urlopen(asked).status == 200
    visitor.press("I have copied it")
    visitor.expect("Dashboard", token[:4])
    looker.look("users")

    visitor.go("/signals")
    visitor.press("New signal")
    looker.look("signal-new")
    visitor.fill("Title", "Backups made")
    visitor.fill("Filter", "@EventType == 'BackupComplete'")
    visitor.press("Save")
    looker.driver.get_log("browser")
    looker.look("signal-refused")
    assert visitor.driver.find_element("id", "error-Filter").text
    visitor.fill("Filter", "@EventType = 'BackupComplete'")
    visitor.press("Save")
    visitor.expect("Backups made", "BackupComplete")
    looker.look("signals")

    visitor.go("/apps")
    looker.look("apps-none")
    make_app(visitor, "Tell the team", listener.url("/told"), looker)
    looker.look("apps")


def make_app(visitor: Visitor, title: str, url: str, looker: Looker | None = None):
    visitor.go("/apps")
    visitor.press("Add webhook")
    if looker:
        looker.look("app-new")
    visitor.fill("Title", title)
    visitor.fill("Setting.Url", url)
    visitor.fill("Setting.AuthorizationHeader", SECRET)
    [box] = [one for one in visitor.driver.find_elements("css selector", "fieldset .tick")
             if one.text.startswith("Backups made")]
    box.find_element("tag name", "input").click()
    visitor.press("Save")
    visitor.expect(title, "on", "Backups made")


def back_up(visitor: Visitor):
    visitor.go("/backups")
    visitor.press("Back up now")
    visitor.expect("The backup")


def back_up_and_download(visitor: Visitor, looker: Looker, listener: Listener, downloads: Path) -> Path:
    say("a backup, of which the app tells; an immediate one, downloaded")
    visitor.go("/backups")
    looker.look("backups-before-the-first")
    back_up(visitor)
    visitor.wait_for("immediate", "sound", path="/backups")
    [(_, secret, body)] = listener.wait_for("/told")
    assert secret == SECRET and json.loads(body)["@i"] == "BackupComplete", body
    visitor.press_for_download("Download immediate backup")
    for _ in range(200):
        found = [one for one in downloads.glob("immediate-*.seqbac")]
        if found and found[0].stat().st_size:
            return found[0]
        time.sleep(0.1)
    raise AssertionError(f"nothing was downloaded: {list(downloads.iterdir())}")


def look_at_the_rest(visitor: Visitor, looker: Looker):
    say("every page")
    visitor.go("/backups")
    looker.look("backups")
    visitor.driver.find_element("css selector", "main tbody th a").click()
    visitor.expect("Databases", "metastore.db")
    looker.look("backup")
    visitor.press("Compare with now")
    visitor.wait_for("Compared with now")
    for _ in range(40):
        if "being read" not in visitor.text():
            break
        time.sleep(0.5)
        visitor.go(visitor.path)
    looker.look("backup-differences")
    visitor.press("Restore…")
    visitor.expect("A copy: apps off", "A replacement")
    chosen = visitor.driver.find_element("css selector", "input[name=Apps]:checked")
    assert chosen.get_attribute("value") == "off"
    looker.look("backup-restore")

    visitor.go("/schedule")
    visitor.expect("MOORLINE_BACKUPS_TO_KEEP", "Next run", "Backups of the last 90 days")
    visitor.fill("BackupUtcTimeOfDay", "25:00")
    visitor.press("Save")
    looker.driver.get_log("browser")
    assert visitor.driver.find_element("id", "error-BackupUtcTimeOfDay").text
    visitor.fill("BackupUtcTimeOfDay", "04:30")
    visitor.fill("InstanceTitle", "Boats of the harbour")
    visitor.press("Save")
    visitor.expect("The settings were saved.")
    assert "Boats of the harbour" in visitor.driver.title
    looker.look("schedule")

    for path, words in [("/restores", "No restore has run on this volume"), ("/events", "Backup complete"), ("/account", "password")]:
        visitor.go(path)
        visitor.expect(words)
        looker.look(path.strip("/"))
    visitor.fill("Password", PASSWORD)

    visitor.go("/events?filter=" + "%40EventType%20%3D%20%27SettingChanged%27")
    visitor.expect("Setting BackupUtcTimeOfDay was changed by admin")
    visitor.expect_not("Backup complete")
    visitor.go("/events?filter=%40%40")
    assert visitor.driver.find_element("id", "error-filter").text
    looker.look("events-refused")

    visitor.go("/secret-key")
    looker.look("secret-key-unsaved")
    visitor.press("Yes, the key is saved elsewhere")
    visitor.expect("The key is confirmed as saved")
    visitor.expect_not("The secret key has not been confirmed as saved elsewhere.")
    looker.look("secret-key")

    visitor.go("/nowhere")
    looker.driver.get_log("browser")
    visitor.expect("Page not found")
    looker.look("nothing")

    for path, words, name in [("/users", "Edit reader", "user"), ("/apps", "Edit Tell the team", "app"),
                              ("/signals", "Edit Backups made", "signal")]:
        visitor.go(path)
        visitor.press(words)
        looker.look(name)
        visitor.press("Remove…")
        looker.look(f"{name}-remove")
        visitor.press("Cancel")

    visitor.looker.show_as("light", (360, 740))
    visitor.go("/backups")
    visitor.driver.find_element("css selector", ".menu-button").click()
    looker.look_once("menu-light-360")
    visitor.driver.find_element("link text", "Events").click()
    visitor.expect("Events")
    visitor.looker.show_as("light", (1280, 900))


def use_the_keyboard(visitor: Visitor):
    say("the tab key reaches everything")
    visitor.go("/backups")
    reached, should = visitor.tab_through()
    missing = [name for name in should if name not in reached]
    assert should and not missing, f"the tab key does not reach {missing}; it reaches {reached}"
    assert reached[0] == "Skip to content", reached


def restored(visitor: Visitor, container: Container, backup: Path, line: str):
    folder = container.volume / "Backups"
    folder.mkdir()
    shutil.copy(backup, folder)
    container.script("restore.sh", f"seqsvr restore -y {line} --backup=../Backups/{backup.name}\n")
    container.start()
    log_in(visitor, container)
    visitor.go("/users")
    visitor.expect("reader", "Dashboard")
    visitor.go("/signals")
    visitor.expect("Backups made")


def as_a_copy(visitor: Visitor, looker: Looker, listener: Listener, container: Container, backup: Path, key: str):
    say("restored as a copy: silent until it is released")
    restored(visitor, container, backup, f"--secret-key={key}")
    told = len(listener.of("/told"))
    banner = "This is a restored copy: 1 app is off."
    for path in ("/backups", "/schedule", "/restores", "/apps", "/events", "/signals", "/users", "/secret-key"):
        visitor.go(path)
        visitor.expect(banner)
    visitor.go("/apps")
    visitor.expect("Quarantine", "Tell the team", "immediately")
    looker.look("apps-quarantine")
    visitor.press("Release all…")
    looker.look("apps-release-all")
    visitor.go("/restores")
    visitor.expect("as a copy")
    looker.look("restores-copy")
    # One that is made now is told of the same event: once it was, whatever the other had to say would be said.
    make_app(visitor, "Probe", listener.url("/probe"))
    back_up(visitor)
    listener.wait_for("/probe")
    assert len(listener.of("/told")) == told, "an app in quarantine has fired"
    visitor.go("/backups")
    looker.look("backups-quarantine")
    visitor.go("/apps")
    visitor.press("Release Tell the team")
    visitor.expect("Released")
    visitor.expect_not(banner)
    back_up(visitor)
    listener.wait_for("/told", told + 1)
    container.stop()


def as_a_replacement(visitor: Visitor, looker: Looker, listener: Listener, container: Container, backup: Path, key: str):
    say("restored as a replacement: fires at once; restored and undone from the console")
    told = len(listener.of("/told"))
    restored(visitor, container, backup, f"--enable-apps --secret-key={key}")
    visitor.expect_not("This is a restored copy")
    back_up(visitor)
    listener.wait_for("/told", told + 1)
    visitor.go("/users")
    visitor.press("New user")
    visitor.fill("Username", "latecomer")
    visitor.fill("NewPassword", "long enough")
    visitor.press("Save")

    visitor.wait_for("immediate", path="/backups")
    visitor.driver.find_element("css selector", "main tbody .actions a[href$='/restore']").click()
    visitor.choose("Apps", "as-they-were")
    visitor.press("Restore at the next restart")
    visitor.expect("Restart the container")
    looker.look("restores-waiting")
    container.restart()
    log_in(visitor, container)
    visitor.go("/users")
    visitor.expect_not("latecomer")
    visitor.go("/restores")
    looker.look("restores")
    visitor.driver.find_element("css selector", "main tbody .actions a[href$='/undo']").click()
    looker.look("restore-undo")
    visitor.press("Roll back at the next restart")
    container.restart()
    log_in(visitor, container)
    visitor.go("/users")
    visitor.expect("latecomer")
    container.stop()


def without_password(visitor: Visitor, looker: Looker, container: Container):
    say("first run without a password: it is set in the browser")
    container.start()
    visitor.base = container.url
    visitor.go("/")
    assert visitor.path == "/first-run", visitor.path
    looker.look("first-run")
    visitor.press("Continue without a password")
    visitor.expect("This console requires no login.")
    visitor.press("Set a password")
    visitor.fill("NewPassword", PASSWORD)
    visitor.fill("Again", "another password")
    visitor.press("Set the password")
    looker.driver.get_log("browser")
    visitor.expect("The passwords don’t match")
    visitor.fill("NewPassword", PASSWORD)
    visitor.fill("Again", PASSWORD)
    visitor.press("Set the password")
    visitor.expect("The password is set")
    visitor.expect_not("This console requires no login.")
    visitor.press("Log out")
    assert visitor.path == "/login", visitor.path
    log_in(visitor, container)
    container.stop()


def without_login(visitor: Visitor, container: Container):
    say("no login required: buttons work")
    container.start()
    visitor.base = container.url
    # Pages are updated while the first backup is being taken.
    visitor.go("/backups")
    visitor.wait_for("sound", path="/backups")
    visitor.go("/secret-key")
    visitor.press("Yes, the key is saved elsewhere")
    visitor.expect("The key is confirmed as saved")
    container.stop()


if __name__ == "__main__":
    main()
