// Asks for what the first view needs, and then loads what draws it.
import "./style.css";
import "./lib/theme";

import { client } from "./lib/client";
import { askFirst } from "./lib/first";

/** What draws can't be loaded: said in words, with a way on, and not by a white page. */
function missing(page: HTMLElement): void {
  const said = document.createElement("p");
  said.setAttribute("role", "alert");
  said.className = "p-8";
  said.textContent = "The page can’t be loaded: the service does not answer. ";
  const again = document.createElement("button");
  again.type = "button";
  again.className = "text-blue hover:underline";
  again.textContent = "Retry";
  again.onclick = () => location.reload();
  said.append(again);
  page.replaceChildren(said);
}

const page = document.getElementById("page");
if (page) {
  askFirst(client);
  import("./page").then(
    ({ show }) => show(page),
    () => missing(page),
  );
}
