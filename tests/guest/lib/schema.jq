# SPDX-License-Identifier: GPL-2.0
# What a JSON document does wrong by a schema, a line each: of JSON Schema, those words that
# userspace/schema uses. A word that is not known here is an error itself.
#
#	jq -r -L DIRECTORY --slurpfile schema SCHEMA \
#		'include "schema"; faults($schema[0])' DOCUMENT

def known:
	["$schema", "title", "$defs", "$ref", "type", "enum", "minimum", "required",
	 "properties", "additionalProperties", "items", "anyOf"];

def is_type($name):
	if $name == "integer" then type == "number" and floor == . else type == $name end;

def at($path): if $path == "" then "the document" else $path end;

def check($root; $schema; $path):
	. as $value |
	($schema | keys - known | .[] | at($path) + ": the schema says " + . + ", which is not known"),
	(if $schema | has("$ref") then
		($root | getpath($schema["$ref"] | ltrimstr("#/") | split("/"))) as $meant |
		if $meant == null then at($path) + ": no " + $schema["$ref"]
		else check($root; $meant; $path) end
	else empty end),
	(if ($schema | has("type")) and
	    ([[$schema.type] | flatten[] as $name | $value | is_type($name)] | any | not) then
		at($path) + ": a " + type + ", not " + ($schema.type | tojson)
	else empty end),
	(if ($schema | has("enum")) and ([$schema.enum[] == $value] | any | not) then
		at($path) + ": " + tojson + " is not one of " + ($schema.enum | tojson)
	else empty end),
	(if ($schema | has("minimum")) and type == "number" and . < $schema.minimum then
		at($path) + ": " + tojson + " is less than " + ($schema.minimum | tojson)
	else empty end),
	(if $schema | has("anyOf") then
		[$schema.anyOf[] as $one | [check($root; $one; $path)]] as $wrong |
		if $wrong | map(length == 0) | any then empty
		else at($path) + ": is none of what it may be; of the nearest: " +
			($wrong | min_by(length) | join("; ")) end
	else empty end),
	(if type == "array" and ($schema | has("items")) then
		range(length) as $i | .[$i] | check($root; $schema.items; "\($path)[\($i)]")
	else empty end),
	(if type == "object" then
		(($schema.required // []) - keys | .[] | at($path) + ": no " + .),
		(to_entries[] | .key as $key | .value |
			if $schema.properties // {} | has($key) then
				check($root; $schema.properties[$key]; "\($path).\($key)")
			elif $schema.additionalProperties == false then
				at($path) + ": has " + $key
			elif $schema.additionalProperties | type == "object" then
				check($root; $schema.additionalProperties; "\($path).\($key)")
			else empty end)
	else empty end);

def faults($root): check($root; $root; "");
