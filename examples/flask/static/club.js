// Shows the members and their statuses as the server sends them. EventSource reconnects by itself.
const list = document.querySelector("#members");
const template = document.querySelector("#member");
const events = new EventSource("/events");

function show(statuses) {
  for (const [name, status] of Object.entries(statuses)) {
    let item = [...list.children].find(({ dataset }) => dataset.name === name);
    if (status === null) {
      item?.remove();
      continue;
    }
    if (!item) {
      item = template.content.cloneNode(true).firstElementChild;
      item.dataset.name = name;
      item.querySelector("b").textContent = name;
      item.querySelector("input").value = name;
      list.append(item);
    }
    item.className = status;
    item.querySelector("span").textContent = status;
  }
}

events.addEventListener("all", ({ data }) => {
  list.replaceChildren();
  show(JSON.parse(data));
});
events.addEventListener("change", ({ data }) => show(JSON.parse(data)));
