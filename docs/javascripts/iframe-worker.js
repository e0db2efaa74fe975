// Browsers start no worker for a page that was opened from a folder. There, the search of the site runs in a hidden frame
// that speaks as a worker does. The name is the one under which the theme's plugin "offline" looks for such a script.
if (location.protocol === "file:") {
  const loaded = (inside, url) =>
    new Promise((done, failed) => {
      const script = inside.document.createElement("script");
      script.addEventListener("load", done);
      script.addEventListener("error", failed);
      script.src = url;
      inside.document.body.append(script);
    });

  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      frame.srcdoc = "<body></body>";
      this.inside = new Promise((ready) => frame.addEventListener("load", () => ready(frame.contentWindow), { once: true }))
        .then(async (inside) => {
          inside.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
          inside.importScripts = async (...urls) => {
            for (const one of urls) await loaded(inside, one);
          };
          await loaded(inside, url);
          return inside;
        });
      document.body.append(frame);
    }

    postMessage(data) {
      this.inside.then((inside) => inside.dispatchEvent(new inside.MessageEvent("message", { data })));
    }
  };
}
