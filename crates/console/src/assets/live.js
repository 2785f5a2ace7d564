// Keeps what runs in sight: as long as an element says `data-live`, it is fetched again each second; when nothing
// runs any more, the page is loaded anew, once. Everything works without this, with a refresh.
"use strict";
(() => {
  const region = document.querySelector("[data-live]");
  if (!region) return;
  // What somebody has typed is not thrown away by loading the page again.
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
      // The console may be away for a moment: a restart, a sleeping laptop.
    }
    setTimeout(again, document.hidden ? 5000 : 1000);
  };
  setTimeout(again, 1000);
})();
