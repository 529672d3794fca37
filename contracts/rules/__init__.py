"""The rules, one file each. Open the file, read the rule. Rules do not import each other."""
