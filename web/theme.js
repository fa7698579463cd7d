// A classic script in <head>, so that the chosen theme is there before anything is painted.
(() => {
  try {
    const chosen = JSON.parse(localStorage.getItem("comanda.tema"));
    if (chosen === "claro" || chosen === "oscuro") document.documentElement.dataset.tema = chosen;
  } catch {
    // Nothing kept, or nothing may be: the system's theme.
  }
})();
