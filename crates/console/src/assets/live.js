// Shows the progress of running jobs: fetches the element with `data-live` every second, and reloads the page once when
// no job is running any more. Without this script, a manual refresh does the same.
"use strict";
(() => {
  const region = document.querySelector("[data-live]");
  if (!region) return;
  // Do not reload a page with unsaved input.
  let typed = false;
  document.addEventListener("input", () => { typed = true; });
  const again = async () => {
    try {
      const answer = await fetch(region.dataset.live, { headers: { Accept: "text/html" }, redirect: "error" });
      if (answer.status === 204) return typed ? region.remove() : location.reload();
      if (answer.ok) {
        const text = await answer.text();
        if (region.innerHTML !== text) region.innerHTML = text;
      }
    } catch {
      // The console may be unreachable for a moment, for example during a restart.
    }
    setTimeout(again, document.hidden ? 5000 : 1000);
  };
  setTimeout(again, 1000);
})();
