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

# What @device is compared with: of the same guest, where that has measured it.
function reference_of(key, device, other,    own)
{
	own = part_of[key, device] SUBSEP key SUBSEP other
	if (own in raw_in)
		return raw_in[own]
	return has(key, other) ? raw[key, other] : 0
}

# To linear; "" where one of the two was not measured.
function ratio_of(key, device,    linear)
{
	if (!has(key, device))
		return ""
	linear = reference_of(key, device, "linear")
	return linear ? raw[key, device] / linear : ""
}

# Nothing ("") where something it is made of was not measured.
function value_of(key, device,    part, reference, each)
{
	if (!has(key, device))
		return ""
	if (kind[key] == "" || kind[key] == "value")
		return raw[key, device]
	split(kind[key], part, ":")
	if (part[1] == "ratio")
		return ratio_of(key, device)
	if (part[1] == "step") {
		reference = reference_of(part[2], device, "linear")
		if (!has(part[2], device) || !reference)
			return ""
		each = (raw[key, device] - raw[part[2], device]) / part[3]
		return each / reference
	}
	if (part[1] == "per") {
		each = ratio_of(key, device)
		reference = ratio_of(part[2], device)
		return each == "" || !reference ? "" : each / reference
	}
	reference = reference_of(key, device, part[2])
	return reference ? raw[key, device] / reference : ""
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

FNR == 1 {
	measured_by = FILENAME
	sub(/.*\//, "", measured_by)
	sub(/\.result$/, "", measured_by)
}

{
	split($0, word, " ")
	if (word[1] != "result")
		next
	key = word[2]
	raw[key, word[3]] = word[4]
	raw_in[measured_by, key, word[3]] = word[4]
	part_of[key, word[3]] = measured_by
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
