(() => {
  const dialog = document.getElementById("sample");
  const buttons = [...document.querySelectorAll(".sheet button")];
  if (!dialog || !buttons.length || !dialog.showModal) return;
  const picture = dialog.querySelector("img");
  const facts = dialog.querySelector(".facts");
  const place = dialog.querySelector(".place");
  let at = 0;
  const show = (number) => {
    at = (number + buttons.length) % buttons.length;
    const image = buttons[at].querySelector("img");
    picture.src = image.src;
    picture.alt = image.alt;
    picture.width = image.getAttribute("width") * 1.5;
    facts.replaceChildren(buttons[at].parentElement.querySelector("template").content.cloneNode(true));
    place.textContent = `${at + 1} of ${buttons.length}`;
  };
  buttons.forEach((button, number) => {
    button.addEventListener("click", () => { show(number); dialog.showModal(); });
  });
  dialog.querySelector(".before").addEventListener("click", () => show(at - 1));
  dialog.querySelector(".after").addEventListener("click", () => show(at + 1));
  dialog.querySelector(".close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("close", () => buttons[at].focus());
  dialog.addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") show(at - 1);
    if (event.key === "ArrowRight") show(at + 1);
  });
})();
