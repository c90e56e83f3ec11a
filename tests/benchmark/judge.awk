# SPDX-License-Identifier: GPL-2.0
# Goals, misses and results to one line for each figure and device; see report.
function trim(text)
{
	gsub(/^[ \t]+|[ \t]+$/, "", text)
	return text
}

function has(key, device)
{
	return (key, device) in raw
}

# Nothing ("") where something it is made of was not measured.
function value_of(key, device,    part, reference, each)
{
	if (!has(key, device))
		return ""
	if (kind[key] == "" || kind[key] == "value")
		return raw[key, device]
	split(kind[key], part, ":")
	if (part[1] == "step") {
		if (!has(part[2], device) || !has(part[2], "linear") || !raw[part[2], "linear"])
			return ""
		each = (raw[key, device] - raw[part[2], device]) / part[3]
		return each / raw[part[2], "linear"]
	}
	reference = part[1] == "of" ? part[2] : "linear"
	if (!has(key, reference) || !raw[key, reference])
		return ""
	return raw[key, device] / raw[key, reference]
}

# The last digit that is shown counts: 1.052 is not 1.05.
function verdict_of(key, value)
{
	if (value == "")
		return "not measured"
	if ((comparison[key] == "<=" && value <= goal[key] + 1e-9) ||
	    (comparison[key] == ">=" && value >= goal[key] - 1e-9) ||
	    (comparison[key] == "=" && value == goal[key]))
		return "yes"
	return key in miss ? "known miss" : "no"
}

function say(key, device, value, verdict)
{
	printf "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", key, table[key], words[key],
		device, has(key, device) ? raw[key, device] : "", unit[key],
		value == "" ? "" : sprintf("%.6g", value), comparison[key], goal[key], verdict,
		verdict == "known miss" ? miss[key] : ""
}

BEGIN {
	FS = "|"
}

FILENAME ~ /\/goals$/ {
	if (/^## /)
		title = substr($0, 4)
	else if (!/^#/ && NF >= 5) {
		key = trim($1)
		order[++count] = key
		table[key] = title
		words[key] = trim($2)
		kind[key] = trim($3)
		comparison[key] = trim($4)
		goal[key] = trim($5) + 0
	}
	next
}

FILENAME ~ /\/misses$/ {
	if (!/^#/ && NF >= 2)
		miss[trim($1)] = trim($2)
	next
}

{
	split($0, word, " ")
	key = word[2]
	raw[key, word[3]] = word[4]
	unit[key] = word[5]
	if (!(key in words)) {
		order[++count] = key
		table[key] = "Beside the figures"
		words[key] = key
		kind[key] = "value"
	}
	if (!(word[3] in seen)) {
		seen[word[3]] = 1
		devices[++device_count] = word[3]
	}
}

END {
	for (i = 1; i <= count; i++) {
		key = order[i]
		if (comparison[key] != "") {
			value = value_of(key, "cowstack")
			say(key, "cowstack", value, verdict_of(key, value))
		}
		for (j = 1; j <= device_count; j++) {
			device = devices[j]
			if (!has(key, device) || (device == "cowstack" && comparison[key] != ""))
				continue
			say(key, device, value_of(key, device), "-")
		}
	}
}
