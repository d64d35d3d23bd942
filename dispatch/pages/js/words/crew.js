/** The words of a crew's page: an order, what is next, and what became of it. */
import { FIELD } from "./field.js";

export const CREW = {
  zh: {
    ...FIELD.zh,
    "sign.why": "请打开调度发给您的链接，或把其中的代码贴在这里。", "sign.over": "登录已到期，页面内容仍在。请打开新的链接，或把其中的代码贴在这里。",
    "sign.refused": "此链接已用过或已过期，请向调度索取新的。",
    "title": "我的工单", "who": "班组 {id}", "none": "没有工单", "none.why": "派单后会显示在这里。", "some": "{n}张工单",
    "stale": "数据停在{at}，正在重新连接。处置已关闭。", "wait": "正在送出…", "sent": "已记录：{what}", "away": "未能送出，请到有信号处再试。", "refused": "未接受：{why}",
    "conflict": "{device} 已有变化，请看后再定。", "gone": "{id} 已不是您的工单。", "new": "新工单：{device}",
    "device.lv_feeder": "低压线路",
    "state.predicted": "疑似停电", "state.confirmed": "停电", "state.partially_restored": "部分恢复", "state.verify": "待核实", "state.restored": "已恢复供电", "state.planned": "计划停电",
    "fact.state": "状态", "fact.out": "停电户数", "fact.since": "停电起", "fact.feeder": "线路", "fact.stage": "进度", "fact.cause": "原因", "fact.etr": "预计恢复", "fact.no": "编号", "fact.phases": "相别",
    "out": "{out}户（共{all}户）", "etr.none": "未定", "cause.none": "待查", "place": "导航到设备", "place.none": "没有此设备的坐标",
    "stage.assigned": "已派单", "stage.en_route": "在途", "stage.on_site": "已到达", "stage.cause_found": "已查明", "stage.repaired": "已修复，等电表确认", "stage.verified": "电表已确认", "stage.none": "已派单", "at": "{what}（{at}）",
    "act.en_route": "出发", "act.on_site": "已到现场", "act.repaired": "已修复", "act.repaired.sure": "确认已修复？再按一次", "act.cause": "原因", "act.etr": "预计恢复",
    "did.en_route": "出发", "did.on_site": "到达现场", "did.repaired": "已修复", "did.cause": "原因", "did.etr": "预计恢复",
    "ask.cause": "故障原因", "ask.by": "最迟恢复", "ask.why": "因为", "send": "送出", "leave": "取消", "by": "{at}（{span}后）",
  },
  en: {
    ...FIELD.en,
    "sign.why": "Open the link that the dispatch centre sent you, or paste its code here.", "sign.over": "Your sign-in is over; what you see stays. Open a new link, or paste its code here.",
    "sign.refused": "That link was used already, or its time is over. Ask the dispatch centre for another.",
    "title": "My work orders", "who": "Crew {id}", "none": "No work order", "none.why": "One that is given to you shows here.", "some": "Work orders: {n}",
    "stale": "Data from {at}; connecting again. Nothing can be sent.", "wait": "Sending…", "sent": "Noted: {what}", "away": "Not sent. Try again where there is a signal.", "refused": "Not taken: {why}",
    "conflict": "{device} has changed meanwhile. Look again before you decide.", "gone": "{id} is no longer your order.", "new": "New order: {device}",
    "device.lv_feeder": "Low-voltage line",
    "state.predicted": "Possible outage", "state.confirmed": "Outage", "state.partially_restored": "Partly back", "state.verify": "To be verified", "state.restored": "Power is back", "state.planned": "Planned outage",
    "fact.state": "State", "fact.out": "Without power", "fact.since": "Since", "fact.feeder": "Feeder", "fact.stage": "Progress", "fact.cause": "Cause", "fact.etr": "Power back", "fact.no": "No.", "fact.phases": "Phases",
    "out": "{out} of {all:customer|customers}", "etr.none": "no time yet", "cause.none": "not found yet", "place": "Navigate to the device", "place.none": "The place of this device is not known",
    "stage.assigned": "Assigned", "stage.en_route": "En route", "stage.on_site": "On site", "stage.cause_found": "Cause found", "stage.repaired": "Repaired; meters are to confirm it", "stage.verified": "Confirmed by meters", "stage.none": "Assigned", "at": "{what} ({at})",
    "act.en_route": "On my way", "act.on_site": "On site", "act.repaired": "Repaired", "act.repaired.sure": "Repaired? Press again", "act.cause": "Cause", "act.etr": "Power back",
    "did.en_route": "on the way", "did.on_site": "on site", "did.repaired": "repaired", "did.cause": "cause", "did.etr": "power back",
    "ask.cause": "Cause of the fault", "ask.by": "Power back by", "ask.why": "Because of", "send": "Send", "leave": "Cancel", "by": "{at} (in {span})",
  },
};
