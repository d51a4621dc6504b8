"use strict";
(() => {
  const perPage = Number(document.body.dataset.perPage);
  const articles = [...document.querySelectorAll("article")];
  const found = articles.map((article) =>
    article.dataset.found.split(" ").filter(Boolean).map((pair) => pair.split(":").map(Number)),
  );
  const form = document.querySelector("form");
  const boxes = [...form.querySelectorAll("input[data-group]")];
  const groupOf = new Map(boxes.map((box) => [Number(box.value), box.dataset.group]));
  const buttons = document.querySelectorAll(".pager button");
  const turners = document.querySelectorAll(".pager input");
  const slider = document.getElementById("least");
  let matching = [];
  let visible = new Set([...articles.keys()].slice(0, perPage));
  let page = 0;

  // The chosen facets by group: any of a group, and something of every group.
  function chosenFacets() {
    const chosen = new Map();
    for (const box of boxes.filter((each) => each.checked)) {
      const { group } = box.dataset;
      chosen.set(group, (chosen.get(group) ?? new Set()).add(Number(box.value)));
    }
    return chosen;
  }

  function matches(annotations, chosen, least) {
    const sure = annotations.filter(([, score]) => score >= least);
    if (chosen.size === 0) return least === 0 || sure.length > 0;
    return [...chosen.values()].every((facets) => sure.some(([facet]) => facets.has(facet)));
  }

  function fadeMarks(article, chosen, least) {
    for (const mark of article.querySelectorAll("mark")) {
      const facet = Number(mark.dataset.f);
      const facets = chosen.get(groupOf.get(facet));
      const isWanted = !facets || facets.has(facet);
      mark.classList.toggle("faint", !isWanted || Number(mark.dataset.s) < least);
    }
  }

  function show() {
    const chosen = chosenFacets();
    const first = page * perPage;
    const shown = matching.slice(first, first + perPage);
    const before = visible;
    visible = new Set(shown);
    for (const index of before) articles[index].hidden = !visible.has(index);
    for (const index of shown) {
      articles[index].hidden = false;
      fadeMarks(articles[index], chosen, Number(slider.value));
    }
    const total = matching.length.toLocaleString("en");
    const range = shown.length
      ? `${(first + 1).toLocaleString("en")}–${(first + shown.length).toLocaleString("en")} of ${total}`
      : "0 documents";
    for (const each of document.querySelectorAll(".range")) each.textContent = range;
    for (const each of document.querySelectorAll(".pages")) each.textContent = (lastPage() + 1).toLocaleString("en");
    for (const each of document.querySelectorAll(".turn")) each.hidden = lastPage() === 0;
    for (const input of turners) {
      input.value = page + 1;
      input.max = lastPage() + 1;
    }
    for (const button of buttons) {
      button.disabled = Number(button.dataset.step) < 0 ? page === 0 : page === lastPage();
    }
    document.querySelector(".none").hidden = shown.length > 0;
  }

  function filter() {
    const chosen = chosenFacets();
    const least = Number(slider.value);
    form.querySelector("output").textContent = (least / 100).toFixed(2);
    matching = [...articles.keys()].filter((index) => matches(found[index], chosen, least));
    page = 0;
    show();
  }

  function lastPage() {
    return Math.max(0, Math.ceil(matching.length / perPage) - 1);
  }

  function turnTo(wanted) {
    page = Math.min(Math.max(wanted, 0), lastPage());
    show();
    document.querySelector("main").scrollIntoView();
  }

  form.addEventListener("input", filter);
  form.addEventListener("reset", () => setTimeout(filter));
  for (const button of buttons) {
    button.addEventListener("click", () => turnTo(page + Number(button.dataset.step)));
  }
  for (const input of turners) {
    input.addEventListener("change", () => turnTo((Math.round(input.valueAsNumber) || page + 1) - 1));
  }
  if (window.matchMedia("(max-width: 52rem)").matches) {
    document.querySelector(".panel").open = false;
  }
  filter();
})();
