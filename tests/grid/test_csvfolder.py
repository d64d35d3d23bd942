"""The specification of the CSV folder: what is read, what is refused and where it says so."""

import pytest

from grid.csvfolder import parse, write
from grid.graph import Branch, BreakerAddress, Customer, Graph, Node, Problem, Severity

NODES = "id,kind,x,y\nS1,substation,1.5,2\nN1,bus,,\nT1,transformer,,\nM1,meter,,\n"
BRANCHES = (
    "id,from,to,kind,normally_open,phases,telemetered\n"
    "B1,S1,N1,breaker,0,ABC,1\nL1,N1,T1,line,0,,\nV1,T1,M1,service,no,B,no\n"
)
CUSTOMERS = "customer_id,meter_id,name,phone,language,priority\nC1,M1,王伟,+8610000000001,zh,key\n"


def folder(**files: str) -> dict[str, str]:
    whole = {"nodes": NODES, "branches": BRANCHES, "customers": CUSTOMERS} | files
    return {f"{name}.csv": text for name, text in whole.items()}


def problems_of(**files: str) -> list[Problem]:
    return list(parse(folder(**files))[1])


def only_problem(**files: str) -> Problem:
    (problem,) = problems_of(**files)
    assert problem.fix
    return problem


def test_a_folder_is_read_as_it_is_written() -> None:
    graph, problems = parse(
        folder(
            comms="meter_id,dcu_id\nM1,D1\n",
            breakers="branch_id,host,port,unit,family\nB1,10.0.0.7,502,3,relay-a\n",
        )
    )
    assert problems == ()
    assert graph == Graph(
        nodes=(
            Node("S1", "substation", 1.5, 2.0),
            Node("N1", "bus"),
            Node("T1", "transformer"),
            Node("M1", "meter"),
        ),
        branches=(
            Branch("B1", "S1", "N1", "breaker", telemetered=True),
            Branch("L1", "N1", "T1", "line"),
            Branch("V1", "T1", "M1", "service", phases="B"),
        ),
        customers=(Customer("C1", "M1", "王伟", "+8610000000001", "zh", "key"),),
        comms={"M1": "D1"},
        breakers=(BreakerAddress("B1", "10.0.0.7", 502, 3, "relay-a"),),
        where={
            "S1": "nodes.csv:2",
            "N1": "nodes.csv:3",
            "T1": "nodes.csv:4",
            "M1": "nodes.csv:5",
            "B1": "branches.csv:2",
            "L1": "branches.csv:3",
            "V1": "branches.csv:4",
        },
    )


def test_spreadsheets_may_write_a_bom_crlf_blanks_capitals_and_any_order_of_columns() -> None:
    nodes = "\ufeffKind, ID ,y,x\r\nsubstation , S1,2,1.5\r\nbus,N1,,\r\n\r\n,,,\r\n"
    nodes += "transformer,T1,,\r\nmeter,M1,,\r\n"
    graph, problems = parse(folder(nodes=nodes, branches=BRANCHES.replace(",0,", ",FALSE,")))
    assert problems == ()
    assert graph.nodes == parse(folder())[0].nodes
    assert graph.where["T1"] == "nodes.csv:6"


def test_a_record_over_several_lines_stands_where_it_begins() -> None:
    customers = CUSTOMERS + 'C2,M1,"two\nlines",,zh,normal\nC3,M9,,,,\n'
    assert only_problem(customers=customers).where == "customers.csv:5"


def test_blank_cells_mean_the_usual() -> None:
    graph, problems = parse(folder(customers="customer_id,meter_id\nC1,M1\n"))
    assert graph.customers == (Customer("C1", "M1", "", "", "zh", "normal"),)
    assert [p.severity for p in problems] == [Severity.NOTICE] * 4


def test_a_short_record_ends_with_blanks() -> None:
    graph, problems = parse(folder(nodes=NODES + "N2,bus\n"))
    assert problems == ()
    assert graph.nodes[-1] == Node("N2", "bus")


def test_an_unknown_column_is_ignored_with_a_notice() -> None:
    nodes = NODES.replace("x,y", "x,y,colour").replace("1.5,2", "1.5,2,red")
    problem = only_problem(nodes=nodes)
    assert problem.severity is Severity.NOTICE
    assert problem.where == "nodes.csv:1"
    assert "'colour' is unknown and ignored" in problem.message


def test_an_unknown_file_is_told_and_not_read() -> None:
    problem = only_problem(costumers="customer_id,meter_id\n")
    assert (problem.severity, problem.where) == (Severity.NOTICE, "costumers.csv")


@pytest.mark.parametrize("name", ["nodes.csv", "branches.csv", "customers.csv"])
def test_a_missing_file_is_an_error_that_names_its_columns(name: str) -> None:
    files = folder()
    del files[name]
    missing = [p for p in parse(files)[1] if p.where == name]
    assert [p.message for p in missing] == [f"{name} is missing"]
    assert ",kind" in missing[0].fix or "meter_id" in missing[0].fix


@pytest.mark.parametrize(
    ("files", "where", "message"),
    [
        ({"nodes": ""}, "nodes.csv", "has no header"),
        ({"nodes": NODES.replace("id,kind", "id,sort")}, "nodes.csv:1", "column kind is missing"),
        ({"nodes": NODES.replace(",", ";")}, "nodes.csv:1", "column kind is missing"),
        (
            {"branches": BRANCHES.replace("normally_open", "open")},
            "branches.csv:1",
            "column normally_open is missing",
        ),
        ({"nodes": NODES.replace("x,y", "x,x")}, "nodes.csv:1", "two columns are called x"),
        ({"nodes": NODES + "N2,bus,east,1\n"}, "nodes.csv:6", "x is 'east', which is no number"),
        ({"nodes": NODES + "N2,bus,1,nan\n"}, "nodes.csv:6", "y is 'nan', which is no number"),
        ({"nodes": NODES + "N2,bus,1,2,3\n"}, "nodes.csv:6", "5 values under 4 columns"),
        ({"nodes": NODES + 'N2,"bus,1,2\n'}, "nodes.csv:6", "no CSV from here on"),
        ({"nodes": NODES + "N2,pole,,\n"}, "nodes.csv:6", "N2 has the unknown kind 'pole'"),
        ({"nodes": NODES + ",bus,,\n"}, "nodes.csv:6", "a row has no id"),
        ({"nodes": NODES + "N1,bus,,\n"}, "nodes.csv:6", "the id N1 is taken: nodes.csv:3"),
        (
            {"branches": BRANCHES + "N1,N1,M1,line,0,,\n"},
            "branches.csv:5",
            "the id N1 is taken: nodes.csv:3",
        ),
        (
            {"branches": BRANCHES + "L2,N1,N9,line,0,,\n"},
            "branches.csv:5",
            "L2 ends at N9, which is no node",
        ),
        (
            {"branches": BRANCHES + "L2,N1,,line,0,,\n"},
            "branches.csv:5",
            "L2 ends at nothing, which is no node",
        ),
        (
            {"branches": BRANCHES + "L2,N1,N1,line,0,,\n"},
            "branches.csv:5",
            "L2 joins N1 to itself",
        ),
        (
            {"branches": BRANCHES + "L2,N1,M1,cable,0,,\n"},
            "branches.csv:5",
            "L2 has the unknown kind 'cable'",
        ),
        (
            {"branches": BRANCHES + "L2,N1,M1,line,open,,\n"},
            "branches.csv:5",
            "normally_open is 'open'",
        ),
        (
            {"branches": BRANCHES + "L2,N1,M1,line,1,RST,\n"},
            "branches.csv:5",
            "L2 has phases 'RST'",
        ),
        (
            {"branches": BRANCHES + "L2,N1,M1,line,1,N,\n"},
            "branches.csv:5",
            "L2 has phases 'N'",
        ),
        (
            {"customers": CUSTOMERS + "C2,M9,,,,\n"},
            "customers.csv:3",
            "customer C2 hangs on the meter M9, which is not in nodes.csv",
        ),
        (
            {"customers": CUSTOMERS + "C2,T1,,,,\n"},
            "customers.csv:3",
            "customer C2 hangs on the meter T1, which is a transformer",
        ),
        (
            {"customers": CUSTOMERS + "C1,M1,,,,\n"},
            "customers.csv:3",
            "the customer C1 is listed twice: customers.csv:2",
        ),
        ({"customers": CUSTOMERS + ",M1,,,,\n"}, "customers.csv:3", "a customer has no id"),
        (
            {"customers": CUSTOMERS + "C2,M1,,,,vip\n"},
            "customers.csv:3",
            "C2 has the unknown priority 'vip'",
        ),
        (
            {"comms": "meter_id,dcu_id\nM1,D1\nM1,D2\n"},
            "comms.csv:3",
            "meter M1 has two concentrators, D1 and D2",
        ),
        ({"comms": "meter_id,dcu_id\nM1,\n"}, "comms.csv:2", "meter M1 has a blank dcu_id"),
        (
            {"comms": "meter_id,dcu_id\nM1,D1\nM1,D1\nM7,D1\n"},
            "comms.csv:4",
            "concentrator D1 hangs on the meter M7, which is not in nodes.csv",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_by_file_and_line(
    files: dict[str, str], where: str, message: str
) -> None:
    found = [p for p in problems_of(**files) if p.severity is Severity.ERROR]
    assert (where, True) in [(p.where, message in p.message) for p in found], found
    assert all(p.fix for p in found)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("B1,h,0,1,f", "port is '0'"),
        ("B1,h,65536,1,f", "port is '65536'"),
        ("B1,h,５０２,1,f", "port is '５０２'"),
        ("B1,h,502,256,f", "unit is '256'"),
        ("B1,,502,1,f", "host is blank"),
        ("B1,h,502,1,", "family is blank"),
        ("B9,h,502,1,f", "B9 has nothing to poll: it is not in branches.csv"),
        ("L1,h,502,1,f", "L1 has nothing to poll: it is a line"),
        ("B1,h,502,1,f\nB1,h,502,2,f", "B1 has two addresses: breakers.csv:2"),
    ],
)
def test_a_breakers_address_has_to_lead_somewhere(row: str, message: str) -> None:
    problem = only_problem(breakers=f"branch_id,host,port,unit,family\n{row}\n")
    assert problem.severity is Severity.ERROR
    assert message in problem.message
    assert problem.where == f"breakers.csv:{len(row.splitlines()) + 1}"


def test_an_id_that_no_topic_can_carry_is_a_notice() -> None:
    problem = only_problem(nodes=NODES + "N/2,bus,,\n")
    assert (problem.severity, problem.where) == (Severity.NOTICE, "nodes.csv:6")


def test_names_and_phones_are_written_only_on_demand() -> None:
    graph, _ = parse(folder())
    without, with_them = (write(graph, contacts=c)["customers.csv"] for c in (False, True))
    assert without.splitlines()[1] == "C1,M1,,,zh,key,"
    assert with_them.splitlines()[1] == "C1,M1,王伟,+8610000000001,zh,key,"


def test_optional_tables_are_written_only_if_they_hold_something() -> None:
    graph, _ = parse(folder())
    assert write(graph, contacts=False).keys() == {"nodes.csv", "branches.csv", "customers.csv"}


def test_the_branch_that_stands_for_its_parallels_is_written_before_them() -> None:
    graph, _ = parse(
        folder(
            branches=BRANCHES.replace("B1,", "L9,").replace("breaker", "line")
            + "SW7,S1,N1,switch,1,,\nB3,S1,N1,breaker,0,,\nB2,N1,S1,breaker,0,,\n"
        )
    )
    rows = write(graph, contacts=False)["branches.csv"].splitlines()
    order = [row.split(",")[0] for row in rows]
    assert order == ["id", "B2", "L1", "V1", "SW7", "B3", "L9"]
