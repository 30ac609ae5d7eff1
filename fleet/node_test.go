package fleet

const nodeVariable = "CHASSIS_FLEET_NODE"

func runNode() {}
