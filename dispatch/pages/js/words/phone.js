/** The words of the simulated phones. */
export const PHONE = {
  zh: {
    "title": "手机（演示）", "note": "模拟城市的手机；没有真正发出任何短信。号码不可能存在。", "count": "{n} 条短信",
    "boxes": "手机", "newest": "跟随最新一条", "home.zh": "每一步都要告知的住户（中文）", "home.en": "每一步都要告知的住户（英文）", "texts": "短信", "phone": "手机 {phone}", "none": "还没有短信",
    "reply": "回复（1 表示仍无电）", "send": "发送", "sent": "已发送", "failed": "未能发送",
    "stale": "服务暂时无法连接，正在重试", "off": "此服务没有模拟手机：用 lastgasp up --demo 启动即有", "other": "English",
  },
  en: {
    "title": "Phone (demo)", "note": "Phones of the simulated city; nothing is really sent. The numbers cannot exist.", "count": "{n:text|texts}",
    "boxes": "Phones", "newest": "Follow the newest", "home.zh": "Household told every step (in Chinese)", "home.en": "Household told every step (in English)", "texts": "Texts", "phone": "Phone {phone}", "none": "No text yet",
    "reply": "Reply (OFF: still no power)", "send": "Send", "sent": "Sent", "failed": "Not sent",
    "stale": "The service cannot be reached; trying again", "off": "This service has no simulated phones: lastgasp up --demo has", "other": "中文",
  },
};
