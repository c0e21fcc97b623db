"""The report as Markdown, for a place that shows no pages: a pull request, a wiki."""

from analysis.report.answers import clauses_of, groups
from analysis.report.clauses import shared
from analysis.report.content import Content
from analysis.report.links import anchor
from analysis.report.provenance import missing, overview, provenance
from analysis.verdicts.wording import Answered, answer, basis, estimate, footnotes, out_of_reach, what_would_settle

MOST_ROWS = 400
"""Tables with more rows are left to their files."""


def markdown_report(content: Content) -> str:
    """What report.html says, with the plots as links to their files."""
    results, answers, tables = content.results, content.answers, content.tables
    lines = [f"# Results of {results.location}", "", overview(results), ""]
    lines += [f"- {notice}" for notice in results.notices]
    lines += ["", "## Answers", ""]
    setting = ""
    for group in groups(content.placed):
        said = {anchor(v): clauses_of(v) for _, v in group.members}
        common = shared(list(said.values()))
        lines += [f"### {group.text}", ""]
        if group.setting != setting:
            setting = group.setting
            lines += [f"*{setting}*", ""]
        if common:
            lines += [f"Of all {len(group.members)} answers:", "", *(f"- {text}" for text in common.values()), ""]
        for told, v in group.members:
            numbers = ", ".join(filter(None, [estimate(v), basis(v)]))
            lines.append(f"- {f'{told}: ' if told else ''}**{v.metric}: {answer(v)}** {numbers}".rstrip())
            own = [c.text for c in said[anchor(v)] if c.form not in common]
            lines += [f"  - {text}" for text in filter(None, [*own, what_would_settle(v)])]
            if v.needed and v.needed.command:
                lines.append(f"  - `{v.needed.command}`")
        lines.append("")
    if absent := [Answered("", v.setting, [v]) for v in answers if v.out_of_reach]:
        lines += [out_of_reach(absent), ""]
    lines += [text for line in footnotes(answers) for text in (line, "")]
    lines += ["## Tables", "", *(table.markdown() for table in tables if 0 < table.n_shown <= MOST_ROWS)]
    if long := [f"tables/{table.name}.csv ({table.n_shown:,} rows)" for table in tables if table.n_shown > MOST_ROWS]:
        lines += [f"Longer ones: {', '.join(long)}.", ""]
    lines += ["## Plots", ""]
    for plot in content.plots:
        lines += [f"![{plot.title}](plots/{plot.name}.png)", "", plot.caption, ""]
    lines += ["## Missing", "", *(f"- {line}" for line in missing(results, answers) or ["nothing"])]
    lines += ["", "## Provenance", "", *(f"- {name}: {value}" for name, value in provenance(results)), ""]
    return "\n".join(lines)
