// Tabs as the ARIA practices have them: arrows go from one to the next, Tab goes into the panel.

const tabs = [...document.querySelectorAll("[role=tab]")];
const panelOf = (tab) => document.getElementById(tab.getAttribute("aria-controls"));

export const isShown = (name) => !document.getElementById(`panel-${name}`).hidden;

export function select(chosen) {
  for (const tab of tabs) {
    tab.setAttribute("aria-selected", tab === chosen);
    tab.tabIndex = tab === chosen ? 0 : -1;
    panelOf(tab).hidden = tab !== chosen;
  }
  document.dispatchEvent(new Event("tidings-tab"));
}

const STEPS = { ArrowRight: (at) => at + 1, ArrowLeft: (at) => at - 1, Home: () => 0, End: () => -1 };

export function startTabs() {
  for (const [at, tab] of tabs.entries()) {
    tab.addEventListener("click", () => select(tab));
    tab.addEventListener("keydown", (event) => {
      if (!STEPS[event.key]) return;
      event.preventDefault();
      const next = tabs.at(STEPS[event.key](at) % tabs.length);
      select(next);
      next.focus();
    });
  }
}
