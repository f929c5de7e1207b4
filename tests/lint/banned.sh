#!/bin/sh
# Functions that the house style bans, and tests inside the product.
. "${top_srcdir:-.}/tests/lint/lint.inc"

banned='atoi|atol|sprintf|vsprintf|strcpy|strcat|strncpy|strncat|strtok|sscanf|gmtime|localtime|system|popen|alloca|g_alloca|g_newa|rand|srand|gets'
# shellcheck disable=SC2046
findings_from "$(grep -nE "(^|[^A-Za-z0-9_>.\"])($banned)[[:space:]]*\(" $(sources) | grep -vE ':[[:space:]]*(/?\*|//)')"
# shellcheck disable=SC2046
findings_from "$(grep -nE '^#[[:space:]]*if(def)?.*(UNITTEST|\bTEST\b)' $(sources))"
done_with "no banned function"
