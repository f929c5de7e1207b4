# Prints migrations.c from the .sql files given as arguments: their number, name, the oldest
# program that can read the schema ("-- oldest-program: VERSION" in the head) and the text.
# Order is by number, whatever the order of the arguments.

function escape(text) {
	gsub(/\\/, "\\\\", text)
	gsub(/"/, "\\\"", text)
	gsub(/\t/, "\\t", text)
	return text
}

function refuse(text) {
	print FILENAME ": " text > "/dev/stderr"
	failed = 1
	exit 1
}

FNR == 1 {
	base = FILENAME
	sub(/.*\//, "", base)
	if (base !~ /^[0-9][0-9][0-9][0-9]_[a-z0-9_]+\.sql$/)
		refuse("a migration is named NNNN_name.sql")
	number = substr(base, 1, 4) + 0
	if (number in name)
		refuse("two migrations have the number " number)
	name[number] = substr(base, 6, length(base) - 9)
	if (number > newest)
		newest = number
}

/^-- oldest-program: / && !(number in oldest) { oldest[number] = $3 }

{ text[number] = text[number] "\t  \"" escape($0) "\\n\"\n" }

END {
	if (failed)
		exit 1
	print "/* Made from store/schema/ by generate.awk: do not edit. */"
	print "#include \"store/db/migrate.h\"\n"
	print "const struct migration schema_migrations[] = {"
	for (i = 1; i <= newest; i++) {
		if (!(i in name))
			continue
		if (!(i in oldest)) {
			print name[i] ": no line '-- oldest-program: VERSION'" > "/dev/stderr"
			exit 1
		}
		printf "\t{ %d, \"%s\", \"%s\",\n%s\t},\n", i, name[i], oldest[i], text[i]
	}
	print "\t{ 0, NULL, NULL, NULL },\n};"
}
