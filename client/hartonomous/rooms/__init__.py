"""The methods of Client, one module per room: one method per SQL function, same name, same arguments."""
