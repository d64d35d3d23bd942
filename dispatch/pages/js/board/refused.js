/**
 * Sentences of the service in the reader's language: why something was not taken, and what a finding
 * says.  Pure.
 *
 * They come in English, in which they are also kept.  A refusal of the API comes with a code: where
 * that says it all, its words are told; else the sentence is looked up, for it knows more (which crew,
 * which device), and a sentence that nobody has words for is told by what its code means.  A test
 * holds every sentence with which the engine and the API refuse against this.
 */

const act = (action, say) => { const word = say(`did.${action}`); return word.startsWith("[") ? action : word; };
const state = (name, say) => { const word = say(`state.${name}`); return word.startsWith("[") ? name : word; };
const FIELDS = { crew: "班组", cause: "原因", at: "时间", device_id: "设备", other_id: "并入的停电编号", reason: "理由", decision: "处置" };
const bare = (name) => name.replace(/^'(.*)'$/, "$1");

/** Codes of docs/openapi.json that say it all. */
const BY_CODE = {
  stale_network: "接线图刚有新版本，请再看一眼后重试", crew_off_duty: "该班组不在岗", told_already: "已告知用户，不能撤销，请重新处置",
  task_closed: "此任务已由他人处理", phone_of_several: "此电话有多个用户，请填用户编号", unauthorized: "登录无效或已过期", too_large: "内容太长",
  wrong_media_type: "请求格式不对", method_not_offered: "此处没有这种操作", failed: "服务出错，日志里有记录",
};

/** What the others mean, where nobody has words for the sentence. */
const AT_LEAST = {
  not_allowed: "您无权这样做", not_found: "没有找到", invalid: "填写有误", conflict: "与现状不符", not_taken: "研判未接受",
  stale_version: "此停电已有变化", unavailable: "服务暂时没有答复，请稍后再试",
};

/** @type {[RegExp, (m: string[], say: any) => string][]} */
const NOT_TAKEN = [
  [/^outage (.+) is at version (.+) by now$/, (m) => `${m[1]} 已更新到版本 ${m[2]}`],
  [/^(.+) has acknowledged it already$/, (m) => `${m[1]} 已确认接单`],
  [/^(.+) has confirmed it already$/, (m) => `${m[1]} 已核实过`],
  [/^it is restored already$/, () => "已恢复供电"],
  [/^its cause is (.+) already$/, (m, say) => { const word = say(`cause.${m[1].replaceAll(" ", "_")}`); return `原因已是${word.startsWith("[") ? m[1] : word}`; }],
  [/^that time has passed already$/, () => "该时间已过"],
  [/^crew (.+) has it already$/, (m) => `已派给班组 ${m[1]}`],
  [/^power is not back yet; /, () => "尚未复电，复电后才能确认"],
  [/^it is verified already$/, () => "已确认复电"],
  [/^no crew is assigned; /, () => "尚未派班组，请先派单"],
  [/^crew (.+) is of another district$/, (m) => `班组 ${bare(m[1])} 属于其他供电所`],
  [/^crew (.+) is (.+) already$/, (m, say) => { const word = say(`stage.${m[2].replaceAll(" ", "_")}`); return `班组 ${m[1]} ${word.startsWith("[") ? m[2] : word}`; }],
  [/^it is not crew (.+)'s work order$/, (m) => `不是班组 ${m[1]} 的工单`],
  [/^as many meters were asked in this minute/, () => "本分钟召测数量已达上限，请一分钟后再试"],
  [/^its meters were asked just now/, () => "电表刚召测过，或都无法召测"],
  [/^meters cannot be heard now/, () => "目前收不到电表数据，不召测"],
  [/^there is no decision on it that can be taken back$/, () => "没有可以撤销的处置"],
  [/^(\S+) was decided more than (.+) s ago; decide anew$/, (m, say) => `“${act(m[1], say)}”已超过${m[2]}秒，请重新处置`],
  [/^take back (\S+) of (\S+) first$/, (m, say) => `请先撤销 ${m[2]} 的“${act(m[1], say)}”`],
  [/^(.+) has ended$/, (m) => `${m[1]} 已结束`],
  [/^(.+) has changed since; decide anew$/, (m) => `${m[1]} 之后有变化，请重新处置`],
  [/^some of its meters have been in another outage since/, () => "其中有电表之后又属于另一停电，请重新处置"],
  [/^(.+) is nothing that one can decide$/, (m) => `没有“${bare(m[1])}”这种处置`],
  [/^no outage (.+) is running in .+$/, (m) => `没有正在进行的停电 ${m[1]}`],
  [/^(.+) is at (.+) already$/, (m) => `${m[1]} 已定位于 ${m[2]}`],
  [/^(.+) is neither above nor below (.+); /, (m) => `${m[1]} 既不在 ${m[2]} 的上级也不在下级；请改用“驳回”`],
  [/^no meter behind (.+) is without power$/, (m) => `${m[1]} 之后没有失电的电表`],
  [/^(.+) is itself; /, (m) => `${m[1]} 就是它自己，请填另一停电的编号`],
  [/^(.+) does not feed both outages$/, (m) => `${m[1]} 不是两处停电的共同上级`],
  [/^nothing but the substation feeds both outages/, () => "两处停电只有变电站是共同上级，应为两起"],
  [/^(.+) is not below (.+)$/, (m) => `${m[1]} 不在 ${m[2]} 的下级`],
  [/^(.+) is (\S+); there is nothing to split$/, (m, say) => `${m[1]} 为“${state(m[2], say)}”，无可拆分`],
  [/^no meter of (.+) behind (.+) is without power$/, (m) => `${m[1]} 在 ${m[2]} 之后没有失电的电表`],
  [/^all that are without power are behind (.+); /, (m) => `失电的都在 ${m[1]} 之后，请改用“改定位”`],
  [/^(.+) is no device behind (.+)$/, (m) => `${m[2]} 之后没有设备 ${m[1]}`],
  [/^(.+) is no device of (.+)$/, (m) => `${m[2]} 没有设备 ${m[1]}`],
  [/^(.+) is being restored already; /, (m) => `${m[1]} 正在恢复，不能移动`],
  [/^(.+) is what another outage left behind; /, (m) => `${m[1]} 是另一停电恢复后遗留的，不能移动`],
  [/^(.+) says itself that it is open/, (m) => `${m[1]} 自己上报为分闸，无需人工判断`],
  [/^(.+) says itself that it is closed$/, (m) => `${m[1]} 自己上报为合闸`],
  [/^(\S+)(?: meters? of it (?:is|are))? still out; /, (m) => `仍有${m[1]}表停电，归档须写明理由`],
  [/^note needs a reason/, () => "请填写备注内容"],
  [/^(\S+) needs a reason$/, (m, say) => `“${act(m[1], say)}”须写明理由`],
  [/^(\S+) needs (\S+)$/, (m, say) => `“${act(m[1], say)}”缺少${FIELDS[m[2]] ?? m[2]}`],
  [/^(\S+) is no field of (\S+)$/, (m, say) => `“${act(m[2], say)}”没有${FIELDS[m[1]] ?? m[1]}一项`],
  [/^at has to be in the future/, () => "预计恢复须晚于现在"],
  [/^at is more than (.+) days ahead$/, (m) => `预计恢复不能晚于${m[1]}天后`],
  [/^earliest has to be before at$/, () => "最早须早于最迟"],
  [/^at (?:.+ )?is in the future$/, () => "时间在将来"],
  [/^at is more than (.+) hours ago$/, (m) => `时间早于${m[1]}小时前`],
  [/^at .+ is more than (.+) s ago$/, (m) => `时间早于${Math.round(Number(m[1]) / 60)}分钟前`],
  [/^from has to be before to$/, () => "开始须早于结束"],
  [/^to (.+) is over already$/, () => "结束时间已过"],
  [/^a plan may last (.+) days at most$/, (m) => `计划停电最长${m[1]}天`],
  [/^no outage (?:of yours )?has the id (.+)$/, (m) => `您的辖区没有停电 ${bare(m[1])}`],
  [/^no feeder group of the network has an outage (.+)$/, (m) => `网络中没有停电 ${bare(m[1])}`],
  [/^no crew of yours has the id (.+?);/, (m) => `您的辖区没有班组 ${bare(m[1])}`],
  [/^a crew that you enter has to be of district (.+)$/, (m) => `新增班组须属于 ${bare(m[1])}`],
  [/^outage (.+) is in (.+); whoever/, (m) => `${m[1]} 涉及 ${m[2]}，须有全部辖区权限`],
  [/^device (.+) feeds other districts than (.+); whoever/, (m) => `设备 ${bare(m[1])} 还供其他辖区，须有全部辖区权限`],
  [/^(\S+) is for dispatchers; a crew may/, (m, say) => `“${act(m[1], say)}”须由调度员处置`],
  [/^this is for dispatchers/, () => "须由调度员处置"],
  [/^a crew's token is for its work orders$/, () => "班组只能处置自己的工单"],
  [/^a customer's token is for their own premises only$/, () => "用户只能登记自家情况"],
  [/^either customer_id or phone is needed/, () => "用户编号和电话须填一个，只填一个"],
  [/^no customer of yours has that phone$/, () => "您的辖区没有此电话的用户"],
  [/^no customer (?:of yours )?has the id (.+)$/, (m) => `您的辖区没有用户 ${bare(m[1])}`],
  [/^customer (.+) has no meter in the network$/, (m) => `用户 ${m[1]} 在网络中没有电表`],
  [/^no device has the id (.+)$/, (m) => `没有设备 ${bare(m[1])}`],
  [/^there is no device (.+) in the network$/, (m) => `网络中没有设备 ${bare(m[1])}`],
  [/^decision (.+) was about outage (.+)$/, (m) => `处置 ${m[1]} 属于停电 ${m[2]}`],
  [/^nobody of staff has the id (.+)$/, (m) => `没有人员 ${bare(m[1])}`],
  [/^yours is the staff of (.+)$/, (m) => `您只能管理 ${m[1]} 的人员`],
  [/^the body has to be application\/json/, () => "请求格式不对"],
  [/^the engine has not answered in (.+) s;/, (m) => `研判${m[1]}秒内没有答复，处置可能仍会生效，请看时间线`],
  [/^no open task of yours has the number (.+)$/, () => "此任务已处理"],
  [/^no task of yours has the number (.+)$/, () => "没有此任务"],
];

/** @type {[RegExp, (m: string[]) => string][]} */
const FOUND = [
  [/^(.+) of (.+) meters? behind the concentrator (?:is|are) overdue/, (m) => `集中器之后${m[2]}表中${m[1]}表心跳缺失，且无任何数据经过：通信中断，不是停电迹象`],
  [/^(.+) and (.+) more report power while (.+) says that it is open/, (m) => `${m[3]} 报分闸，而 ${m[1]} 等${Number(m[2]) + 1}表报有电：另有电源，或接线图有误`],
  [/^(.+) reports power while (.+) says that it is open/, (m) => `${m[2]} 报分闸，而 ${m[1]} 报有电：另有电源，或接线图有误`],
  [/^(.+) says that it is neither open nor closed: its position is unknown$/, (m) => `${m[1]} 的分合触点矛盾：位置未知`],
  [/^(.+) does not answer: its position is unknown$/, (m) => `${m[1]} 无应答：位置未知`],
  [/^phase (.+) below the limit while another is live: phase loss$/, (m) => `${m[1]}相低于限值，其他相有电：缺相`],
  [/^its clock is (.+) s ahead of ours/, (m) => `时钟快${m[1]}秒：其时间按本系统时间计`],
  [/^its clock is off by more than a day/, () => "时钟相差一天以上：以收到时间为准"],
  [/^phase (.+) has (.+) V, less than (.+) V(?:, for (.+) minutes)?$/, (m) => `${m[1]}相${m[2]} V，低于${m[3]} V${m[4] ? `，已${m[4]}分钟` : ""}`],
  [/^phase (.+) carries (.+) A of (.+) A(?:, for (.+) minutes)?$/, (m) => `${m[1]}相${m[2]} A，限值${m[3]} A${m[4] ? `，已${m[4]}分钟` : ""}`],
  [/^its phases carry (.+) A: (.+) % apart(?:, for (.+) minutes)?$/, (m) => `各相${m[1]} A，相差${m[2]}%${m[3] ? `，已${m[3]}分钟` : ""}`],
  [/^(.+) last gasps within (.+) minutes, and power after each/, (m) => `${m[2]}分钟内${m[1]}次末次上报，每次之后都有电：平静之前不计`],
  [/^(.+) momentary interruptions within (.+) days$/, (m) => `${m[2]}天内${m[1]}次瞬时停电`],
  [/^(.+) outages run at once/, (m) => `同时有${m[1]}起停电：不再召测单个电表，用户多的设备优先`],
  [/^(.+) of (.+) meters? behind it never spoke: (.+?)(?: and (.+) more)?$/, (m) => `其后${m[2]}表中${m[1]}表从未上报：${m[3]}${m[4] ? `等，另有${m[4]}表` : ""}`],
];

function said(table, sentence, say, language) {
  if (language !== "zh") return sentence;
  for (const [form, words] of table) {
    const found = form.exec(sentence);
    if (found) return words(found, say);
  }
  return sentence;
}

/**
 * Why something was not taken.
 * @param {string} sentence @param {any} say @param {"zh" | "en"} language @param {string} [code] of the refusal
 */
export function whyNot(sentence, say, language, code) {
  if (language !== "zh") return sentence;
  if (BY_CODE[code]) return BY_CODE[code];
  const words = said(NOT_TAKEN, sentence, say, language);
  return words === sentence && AT_LEAST[code] ? `${AT_LEAST[code]}（${sentence}）` : words;
}

/** What a finding says.  @param {string} sentence @param {"zh" | "en"} language */
export function finding(sentence, language) {
  return said(FOUND, sentence, null, language);
}
