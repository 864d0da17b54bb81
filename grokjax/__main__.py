from grokjax.cli import main

main()
