/** Words that every page has. */
export const SHARED = {
  zh: {
    "sign.title": "登录",
    "sign.why": "此页面需要登录。在服务所在的机器上运行 lastgasp token --link，打开它给出的链接，或把代码贴在这里。",
    "sign.over": "登录已到期。页面内容保留在原处；请打开新链接或贴上新代码后继续。",
    "sign.code": "一次性代码或链接",
    "sign.go": "登录",
    "sign.refused": "此代码已用过或已过期。请运行 lastgasp token --link 获取新代码。",
    "sign.away": "服务暂时无法连接，请稍后再试。",
    "theme.light": "浅色", "theme.dark": "深色", "theme.auto": "自动",
    "theme.label": "主题", "language.label": "语言",
  },
  en: {
    "sign.title": "Sign in",
    "sign.why": "This page wants a sign-in. On the machine of the service run lastgasp token --link, and open the link that it prints or paste its code here.",
    "sign.over": "Your sign-in is over. What you see stays where it is; open a new link or paste a new code to go on.",
    "sign.code": "One-time code or link",
    "sign.go": "Sign in",
    "sign.refused": "That code was used already, or its time is over. lastgasp token --link gives a new one.",
    "sign.away": "The service cannot be reached now; please try again.",
    "theme.light": "Light", "theme.dark": "Dark", "theme.auto": "Auto",
    "theme.label": "Theme", "language.label": "Language",
  },
};
