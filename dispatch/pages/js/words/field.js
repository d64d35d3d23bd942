/** What dispatchers and crews call devices and causes. */
export const FIELD = {
  zh: {
    "device.substation": "变电站", "device.bus": "母线", "device.breaker": "出线断路器", "device.switch": "分段开关", "device.recloser": "重合器", "device.fuse": "熔断器", "device.transformer": "配变", "device.meter": "电表",
    "cause.cable_fault": "电缆故障", "cause.line_fault": "线路故障", "cause.transformer_fault": "配变故障", "cause.switchgear_fault": "开关设备故障", "cause.fuse_blown": "熔丝熔断", "cause.overload": "过载",
    "cause.third_party": "外力破坏", "cause.vehicle": "车辆碰撞", "cause.tree": "树障", "cause.animal": "小动物", "cause.lightning": "雷击", "cause.wind": "大风", "cause.flood": "水淹", "cause.customer_side": "客户侧", "cause.upstream": "上级电源", "cause.unknown": "不明",
  },
  en: {
    "device.substation": "Substation", "device.bus": "Bus", "device.breaker": "Breaker", "device.switch": "Section switch", "device.recloser": "Recloser", "device.fuse": "Fuse", "device.transformer": "Transformer", "device.meter": "Meter",
    "cause.cable_fault": "Cable fault", "cause.line_fault": "Line fault", "cause.transformer_fault": "Transformer fault", "cause.switchgear_fault": "Switchgear fault", "cause.fuse_blown": "Fuse blown", "cause.overload": "Overload",
    "cause.third_party": "Third party", "cause.vehicle": "Vehicle", "cause.tree": "Tree", "cause.animal": "Animal", "cause.lightning": "Lightning", "cause.wind": "Wind", "cause.flood": "Flood", "cause.customer_side": "Customer side", "cause.upstream": "Upstream", "cause.unknown": "Unknown",
  },
};
