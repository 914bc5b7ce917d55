"""The bounds on a report file, so that no upload can take a process's memory, disk or time. ``docs/imports.md`` lists them."""

KIBIBYTE, MEBIBYTE = 1024, 1024 * 1024

#: bytes of a report file; of all files in a ZIP together, unpacked
LARGEST_REPORT = 1024 * MEBIBYTE
#: bytes from which a report is recognised
HEAD = 64 * KIBIBYTE
#: findings of a report, repeated ones counted each time
MOST_FINDINGS = 1_000_000
MOST_ASSETS = 1_000
MOST_RULES = 10_000
#: components of a bill of materials, or artifacts of a SARIF run, which are looked up by the findings
MOST_LOOKED_UP = 200_000
#: levels of JSON or XML within each other
DEEPEST = 200
#: characters of one record (a SARIF result, a Snyk vulnerability, an XML element, a CSV row): the most that is in memory at once
LARGEST_RECORD = 4 * MEBIBYTE
#: characters that are kept of a description; what is longer is cut
LONGEST_TEXT = 64 * KIBIBYTE
#: characters that are kept of the text of a rule
LONGEST_RULE = 8 * KIBIBYTE
#: steps of a data flow that are told in a description
MOST_STEPS = 30
#: entries of a ZIP
MOST_MEMBERS = 1_000
