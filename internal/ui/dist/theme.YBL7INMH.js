"use strict";(()=>{try{let t=localStorage.getItem("kept-theme");(t==="light"||t==="dark")&&(document.documentElement.dataset.theme=t)}catch{}document.documentElement.classList.add("js");})();
