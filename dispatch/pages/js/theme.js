/* Runs before anything is drawn, so that no page flashes: theme and language as last chosen here. */
(() => {
  const kept = (name) => {
    try { return localStorage.getItem(`lastgasp-${name}`); } catch { return null; }
  };
  const theme = kept("theme");
  if (theme) document.documentElement.dataset.theme = theme;
  const asked = new URLSearchParams(location.search).get("lang");
  const language = asked || kept("language") || (/^zh/i.test(navigator.language) ? "zh" : "en");
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
})();
